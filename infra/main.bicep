// Keymend in one subscription: the function app and what it stands on, its rights where it repairs, and what rings it.
// README.md beside this file tells how to deploy, look first (what-if) and remove it.
targetScope = 'subscription'

@description('Tells this deployment from others: part of the names of the resource groups and of the custom roles, which must be unique in the directory.')
@minLength(1)
@maxLength(32)
param environmentName string

@description('Region of everything that is made here. It must offer Flex Consumption: az functionapp list-flexconsumption-locations.')
param location string

@description('Resource group of Keymend itself. It is always left out of what Keymend repairs.')
param resourceGroupName string = 'rg-keymend-${environmentName}'

@description('What Keymend looks after: ids of subscriptions and resource groups, divided by commas. Name the groups of the servers and of the vaults. Nothing else is watched or repaired; an empty list is refused.')
@minLength(51)
param scopes string

@description('What is left alone although it is in scope: resource ids, divided by commas.')
param except string = ''

@description('What Keymend may do by itself. observe gets rights to read and no others.')
@allowed([
  'observe'
  'guarded'
  'auto'
])
param preset string = 'observe'

@description('Roles on top of the preset\'s, by file name in roles/ without .json, divided by commas. Under observe they are not given.')
param additionalRoles string = ''

@description('Roles that are never given, whatever the preset, by file name in roles/ without .json, divided by commas.')
param withheldRoles string = ''

@description('Decide, tell and show what would be sent to Azure; send nothing.')
param dryRun bool = false

@description('Version of the runtime named custom, exactly as the stacks catalogue spells it for this region: az functionapp list-flexconsumption-runtimes --location LOCATION --runtime custom. An unknown one is accepted here and then breaks the start of the app, so there is no default.')
@minLength(1)
param runtimeVersion string

@description('Memory of an instance in MB.')
@allowed([
  512
  2048
  4096
])
param instanceMemoryMB int = 512

@description('Most instances at once.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('Instances that are always warm for alerts and pages. 1 spares the Action Group a cold start; 0 costs nothing while nothing happens.')
@minValue(0)
@maxValue(20)
param alwaysReadyHttp int = 1

@description('Spread instances over availability zones, where the region offers that for Flex Consumption.')
param zoneRedundant bool = false

@description('A subnet for the app\'s outgoing traffic, delegated to Microsoft.App/environments: needed to recover or enable keys in vaults behind a firewall. Empty: none.')
param subnetId string = ''

@description('Redundancy of the storage that holds incidents and jobs.')
@allowed([
  'Standard_LRS'
  'Standard_ZRS'
  'Standard_GRS'
  'Standard_GZRS'
])
param storageSku string = 'Standard_ZRS'

@description('Days that logs are kept.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 90

@description('Settings whose values are secrets in Keymend\'s own vault, divided by commas: KEYMEND_TEAMS_URL is read from the secret keymend-teams-url. Put the secrets there first.')
param secretSettings string = ''

@description('More app settings, by name. Settings made by hand are lost at the next deployment: name them here.')
param extraSettings object = {}

@description('Deploy what rings Keymend: Action Groups, alert rules, Event Grid. Only after the code is deployed, for they need its key and its functions.')
param deploySignals bool = false

@description('Mail addresses that the Action Groups write to as well, divided by commas: they tell you even when Keymend is down.')
param alertEmails string = ''

@description('For a secure webhook: object id of the Entra application that stands for Keymend. Empty: a plain webhook.')
param webhookApplicationObjectId string = ''

@description('For a secure webhook: the application\'s identifier URI, such as api://…')
param webhookIdentifierUri string = ''

@description('For a secure webhook: client id of the Entra application. Keymend then takes no alert without a token for it. Empty: tokens are not looked at.')
param webhookClientId string = ''

@description('Vaults whose key events (near expiry, expired, new version, policy changed) Event Grid sends: resource ids, divided by commas.')
param eventVaults string = ''

@description('Let Event Grid tell of causes as well: sooner than alert rules, and with retries for a day.')
param eventGrid bool = true

@description('Tags of everything that is made here.')
param tags object = {}

var allTags = union(tags, {
  'azd-env-name': environmentName
  application: 'keymend'
})
var token = uniqueString(subscription().id, resourceGroupName, location)

// Ids have 3 parts (subscription) or 5 (resource group), counting the empty one before the first slash. Any other number
// is missing in this table, and the deployment stops there.
var kindByParts = {
  '3': 'subscription'
  '5': 'resourceGroup'
}
var scopeIds = union(filter(split(replace(scopes, ' ', ''), ','), id => !empty(id)), [])
var targets = [for id in scopeIds: {
  id: id
  subscriptionId: split(id, '/')[2]
  name: last(split(id, '/'))
  kind: kindByParts[string(length(split(id, '/')))]
}]
var wholeSubscriptions = filter(targets, target => target.kind == 'subscription')
var resourceGroups = filter(targets, target => target.kind == 'resourceGroup')
var mentionedSubscriptions = [for target in targets: target.subscriptionId]
var watchedSubscriptions = union(mentionedSubscriptions, [])
var subscriptionsInScope = [for target in wholeSubscriptions: target.subscriptionId]
var groupsInScope = [for target in resourceGroups: target.id]

var presets = loadJsonContent('roles/presets.json')
var withheld = split(replace(withheldRoles, ' ', ''), ',')
var additional = filter(split(replace(additionalRoles, ' ', ''), ','), role => !empty(role) && preset != 'observe')
var grantedRoles = filter(union(presets[preset], additional), role => !contains(withheld, role))
var rolesSubscription = split(scopeIds[0], '/')[2]
var grants = [for file in grantedRoles: {
  file: file
  guid: guid('/subscriptions/${rolesSubscription}', environmentName, file)
}]
var readingGrants = filter(grants, grant => grant.file == '01-responder-probe')
var writingGrants = filter(grants, grant => grant.file != '01-responder-probe')

var vaultIds = filter(split(replace(eventVaults, ' ', ''), ','), id => !empty(id))

resource home 'Microsoft.Resources/resourceGroups@2024-11-01' = {
  name: resourceGroupName
  location: location
  tags: allTags
}

module identity 'modules/identity.bicep' = {
  name: 'keymend-identity'
  scope: home
  params: {
    name: 'id-keymend-${token}'
    location: location
    tags: allTags
  }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'keymend-monitoring'
  scope: home
  params: {
    workspaceName: 'log-keymend-${token}'
    componentName: 'appi-keymend-${token}'
    location: location
    retentionDays: logRetentionDays
    publisherPrincipalId: identity.outputs.principalId
    tags: allTags
  }
}

module storage 'modules/storage.bicep' = {
  name: 'keymend-storage'
  scope: home
  params: {
    name: 'stkm${token}'
    location: location
    sku: storageSku
    principalId: identity.outputs.principalId
    workspaceId: monitoring.outputs.workspaceId
    tags: allTags
  }
}

module secrets 'modules/secrets.bicep' = {
  name: 'keymend-secrets'
  scope: home
  params: {
    name: 'kv-km-${token}'
    location: location
    readerPrincipalId: identity.outputs.principalId
    workspaceId: monitoring.outputs.workspaceId
    tags: allTags
  }
}

module app 'modules/function-app.bicep' = {
  name: 'keymend-app'
  scope: home
  params: {
    name: 'func-keymend-${token}'
    planName: 'plan-keymend-${token}'
    location: location
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    storageAccountName: storage.outputs.name
    deploymentContainerUrl: storage.outputs.deploymentContainerUrl
    stateContainer: storage.outputs.stateContainer
    jobsQueue: storage.outputs.jobsQueue
    insightsConnectionString: monitoring.outputs.connectionString
    workspaceId: monitoring.outputs.workspaceId
    vaultUri: secrets.outputs.uri
    secretSettings: filter(split(replace(secretSettings, ' ', ''), ','), setting => !empty(setting))
    extraSettings: union(extraSettings, empty(webhookClientId) ? {} : {
      KEYMEND_CALLERS_CLIENT_ID: webhookClientId
      KEYMEND_CALLERS_IDENTIFIER_URIS: webhookIdentifierUri
    })
    subscriptionsInScope: join(subscriptionsInScope, ',')
    resourcesInScope: join(groupsInScope, ',')
    // Keymend never repairs the vault that holds its own secrets, nor anything else of its own.
    exceptions: join(filter(concat([
      home.id
    ], split(replace(except, ' ', ''), ',')), id => !empty(id)), ',')
    preset: preset
    dryRun: dryRun
    runtimeVersion: runtimeVersion
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    alwaysReadyHttp: alwaysReadyHttp
    zoneRedundant: zoneRedundant
    subnetId: subnetId
    tags: allTags
  }
}

// A custom role exists once in a directory, so it is defined once, and assignable in every subscription in scope.
module roles 'modules/role-definitions.bicep' = {
  name: 'keymend-roles-${environmentName}'
  scope: subscription(rolesSubscription)
  params: {
    environmentName: environmentName
    grants: grants
    subscriptionIds: watchedSubscriptions
  }
}

// Reading is given on the subscription: deleted vaults and the progress of changes are found nowhere else.
module reading 'modules/grant-on-subscription.bicep' = [for id in watchedSubscriptions: {
  name: 'keymend-reading-${environmentName}'
  scope: subscription(id)
  params: {
    principalId: identity.outputs.principalId
    roles: readingGrants
  }
  dependsOn: [
    roles
  ]
}]

module writingSubscriptions 'modules/grant-on-subscription.bicep' = [for target in wholeSubscriptions: if (!empty(writingGrants)) {
  name: 'keymend-writing-${environmentName}'
  scope: subscription(target.subscriptionId)
  params: {
    principalId: identity.outputs.principalId
    roles: writingGrants
  }
  dependsOn: [
    roles
  ]
}]

module writingGroups 'modules/grant-on-resource-group.bicep' = [for target in resourceGroups: if (!empty(writingGrants)) {
  name: 'keymend-writing-${environmentName}'
  scope: resourceGroup(target.subscriptionId, target.name)
  params: {
    principalId: identity.outputs.principalId
    roles: writingGrants
  }
  dependsOn: [
    roles
  ]
}]

resource deployedApp 'Microsoft.Web/sites@2024-11-01' existing = {
  name: 'func-keymend-${token}'
  scope: home
}

// One Action Group and one set of rules in each subscription: a rule sees only the Activity Log of its own.
module alerts 'modules/alerts.bicep' = [for id in watchedSubscriptions: if (deploySignals) {
  name: 'keymend-alerts-${environmentName}'
  scope: subscription(id)
  params: {
    resourceGroupName: '${resourceGroupName}-alerts'
    location: location
    scopes: filter(scopeIds, scope => contains(toLower(scope), toLower(id)))
    webhookAddress: deploySignals ? format('https://{0}/api/alerts?code={1}', app.outputs.hostName, listKeys('${deployedApp.id}/host/default', '2024-11-01').functionKeys.default) : ''
    emails: filter(split(replace(alertEmails, ' ', ''), ','), email => !empty(email))
    webhookApplicationObjectId: webhookApplicationObjectId
    webhookIdentifierUri: webhookIdentifierUri
    tags: allTags
  }
}]

module causeEvents 'modules/cause-events.bicep' = [for id in watchedSubscriptions: if (deploySignals && eventGrid) {
  name: 'keymend-cause-events-${environmentName}'
  scope: subscription(id)
  params: {
    name: 'keymend-${environmentName}'
    functionId: '${deployedApp.id}/functions/events'
  }
  dependsOn: [
    app
  ]
}]

module keyEvents 'modules/key-events.bicep' = [for id in vaultIds: if (deploySignals) {
  name: 'keymend-key-events-${uniqueString(environmentName, id)}'
  scope: resourceGroup(split(id, '/')[2], split(id, '/')[4])
  params: {
    name: 'keymend-${environmentName}'
    vaultName: last(split(id, '/'))
    functionId: '${deployedApp.id}/functions/events'
  }
  dependsOn: [
    app
  ]
}]

@description('Where Action Groups post to, without the key.')
output WEBHOOK_ADDRESS string = 'https://${app.outputs.hostName}/api/alerts'

@description('The function app.')
output FUNCTION_APP_NAME string = app.outputs.name

@description('The app\'s resource group.')
output AZURE_RESOURCE_GROUP string = home.name

@description('The vault for Keymend\'s own secrets.')
output SECRETS_VAULT_NAME string = secrets.outputs.name

@description('The identity that Keymend acts as: application id, and object id for access policies.')
output IDENTITY_CLIENT_ID string = identity.outputs.clientId

@description('Its object id.')
output IDENTITY_PRINCIPAL_ID string = identity.outputs.principalId

@description('The storage account with incidents and jobs.')
output STORAGE_ACCOUNT_NAME string = storage.outputs.name

@description('The roles that were given.')
output GRANTED_ROLES string = join(grantedRoles, ',')
