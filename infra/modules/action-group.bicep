// The Action Group that posts to Keymend, and to people beside it.

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

var plainWebhook = [
  {
    name: 'keymend'
    serviceUri: webhookAddress
    useCommonAlertSchema: true
    useAadAuth: false
  }
]

// A secure webhook is a webhook with a token: the key in the address is still asked for by the Functions host.
var secureWebhook = [
  {
    name: 'keymend'
    serviceUri: webhookAddress
    useCommonAlertSchema: true
    useAadAuth: true
    objectId: webhookApplicationObjectId
    identifierUri: webhookIdentifierUri
    tenantId: subscription().tenantId
  }
]

var emailReceivers = [for (email, index) in emails: {
  name: 'people-${index}'
  emailAddress: email
  useCommonAlertSchema: true
}]

resource actionGroup 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: 'keymend'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'keymend'
    enabled: true
    webhookReceivers: empty(webhookApplicationObjectId) ? plainWebhook : secureWebhook
    emailReceivers: emailReceivers
  }
}

@description('Resource id.')
output id string = actionGroup.id
