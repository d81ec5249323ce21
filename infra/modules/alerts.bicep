// What rings Keymend in one subscription: a resource group with an Action Group and the alert rules.
targetScope = 'subscription'

@description('Resource group for them.')
param resourceGroupName string

@description('Region of the resource group. Action Groups and rules are global.')
param location string

@description('Subscription and resource groups in scope, all in this subscription.')
@minLength(1)
param scopes array

@description('Where to post alerts to, with the key.')
@secure()
param webhookAddress string

@description('Mail addresses to write to as well.')
param emails array

@description('For a secure webhook: object id of the Entra application. Empty: a plain webhook.')
param webhookApplicationObjectId string

@description('For a secure webhook: the application\'s identifier URI.')
param webhookIdentifierUri string

@description('Tags.')
param tags object

resource group 'Microsoft.Resources/resourceGroups@2024-11-01' = {
  name: resourceGroupName
  location: location
  tags: tags
}

module actionGroup 'action-group.bicep' = {
  name: 'keymend-action-group'
  scope: group
  params: {
    webhookAddress: webhookAddress
    emails: emails
    webhookApplicationObjectId: webhookApplicationObjectId
    webhookIdentifierUri: webhookIdentifierUri
    tags: tags
  }
}

module rules 'alert-rules.bicep' = {
  name: 'keymend-alert-rules'
  scope: group
  params: {
    scopes: scopes
    actionGroupId: actionGroup.outputs.id
    tags: tags
  }
}
