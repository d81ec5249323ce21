// The function app on Flex Consumption. The deployed package lies in the deployment container, which this template names and
// never writes: deploying the template again leaves the code as it is. App settings are replaced as a whole.

@description('Name of the app.')
param name string

@description('Name of the plan. Flex Consumption has one app in a plan.')
param planName string

@description('Region.')
param location string

@description('Resource id of the identity that the app acts as.')
param identityId string

@description('Its application id.')
param identityClientId string

@description('Name of the storage account.')
param storageAccountName string

@description('Address of the container that deployed packages lie in.')
param deploymentContainerUrl string

@description('Blob container with incidents and jobs.')
param stateContainer string

@description('Queue whose messages wake the function jobs.')
param jobsQueue string

@description('Where telemetry is sent to.')
param insightsConnectionString string

@description('Workspace that gets the app\'s logs.')
param workspaceId string

@description('Address of the vault with Keymend\'s own secrets, ending in a slash.')
param vaultUri string

@description('Settings whose values are secrets in that vault.')
param secretSettings array

@description('More app settings, by name.')
param extraSettings object

@description('Ids of the subscriptions in scope, divided by commas.')
param subscriptionsInScope string

@description('Resource ids in scope, divided by commas.')
param resourcesInScope string

@description('Resource ids that are left alone, divided by commas.')
param exceptions string

@description('What Keymend may do by itself.')
param preset string

@description('Send nothing to Azure.')
param dryRun bool

@description('Version of the runtime named custom, as the stacks catalogue spells it.')
param runtimeVersion string

@description('Memory of an instance in MB.')
param instanceMemoryMB int

@description('Most instances at once.')
param maximumInstanceCount int

@description('Instances that are always warm for HTTP.')
param alwaysReadyHttp int

@description('Spread instances over availability zones.')
param zoneRedundant bool

@description('Subnet for outgoing traffic, or empty.')
param subnetId string

@description('Tags.')
param tags object

// Keymend's names for the clouds.
var clouds = {
  AzureCloud: 'public'
  AzureUSGovernment: 'us_government'
  AzureChinaCloud: 'china'
}

var settings = {
  AzureWebJobsStorage__accountName: storageAccountName
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identityClientId
  APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
  KEYMEND_STORE: 'azure'
  KEYMEND_CONTAINER: stateContainer
  KEYMEND_JOBS_QUEUE: jobsQueue
  KEYMEND_CLOUD: clouds[environment().name]
  KEYMEND_CREDENTIAL: 'managed_identity'
  KEYMEND_CLIENT_ID: identityClientId
  KEYMEND_TENANT_ID: subscription().tenantId
  KEYMEND_SUBSCRIPTIONS: subscriptionsInScope
  KEYMEND_RESOURCES: resourcesInScope
  KEYMEND_EXCEPT: exceptions
  KEYMEND_PRESET: preset
  KEYMEND_DRY_RUN: dryRun ? 'true' : 'false'
}

var plainSettings = [for setting in items(union(extraSettings, settings)): {
  name: setting.key
  value: setting.value
}]

var secretReferences = [for setting in secretSettings: {
  name: setting
  value: '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/${toLower(replace(setting, '_', '-'))})'
}]

var warm = [
  {
    name: 'http'
    instanceCount: alwaysReadyHttp
  }
]

resource plan 'Microsoft.Web/serverfarms@2024-11-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
    zoneRedundant: zoneRedundant
  }
}

resource app 'Microsoft.Web/sites@2024-11-01' = {
  name: name
  location: location
  // azd finds the app by this tag: it is the service's name in azure.yaml.
  tags: union(tags, {
    'azd-service-name': 'keymend'
  })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    publicNetworkAccess: 'Enabled'
    keyVaultReferenceIdentity: identityId
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ftpsState: 'Disabled'
      http20Enabled: true
      remoteDebuggingEnabled: false
      appSettings: concat(plainSettings, secretReferences)
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: deploymentContainerUrl
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: {
        name: 'custom'
        version: runtimeVersion
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        alwaysReady: alwaysReadyHttp > 0 ? warm : []
      }
    }
  }
}

resource ftp 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-11-01' = {
  parent: app
  name: 'ftp'
  properties: {
    allow: false
  }
}

resource scm 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-11-01' = {
  parent: app
  name: 'scm'
  properties: {
    allow: false
  }
}

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'keymend'
  scope: app
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'FunctionAppLogs'
        enabled: true
      }
    ]
  }
}

@description('Name of the app.')
output name string = app.name

@description('Its host name.')
output hostName string = app.properties.defaultHostName
