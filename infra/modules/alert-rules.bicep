// The alert rules on one subscription's Activity Log. A subscription may have 100; these are few, each with many operations.
//
// No rule filters on level or status: the loss of a key is logged as Informational, and the worst event of all is one that
// Succeeded. No rule can filter on the event's name. Keymend drops what is not for it.

@description('Subscription and resource groups in scope, all in this subscription.')
@minLength(1)
param scopes array

@description('Action Group that the rules call.')
param actionGroupId string

@description('Tags.')
param tags object

// A test holds this file against the operations that Keymend reads.
var operations = loadJsonContent('../operations.json')

// Purges, and roles given on the whole subscription, are not below any resource group: these rules hear the subscription.
var subscriptionId = subscription().id
var wholeSubscription = [
  subscriptionId
]

var rules = [
  {
    name: 'keymend-databases'
    description: 'A database lost its key or got it back, or was written.'
    scopes: scopes
    operations: operations.databases
  }
  {
    name: 'keymend-servers'
    description: 'A server, its identity, its linked keys or its protector changed.'
    scopes: scopes
    operations: operations.servers
  }
  {
    name: 'keymend-managed-instances'
    description: 'A managed instance, its identity, its linked keys or its protector changed.'
    scopes: scopes
    operations: operations.managedInstances
  }
  {
    name: 'keymend-managed-servers'
    description: 'The same, by the name that an event of a managed instance was seen to have.'
    scopes: scopes
    operations: operations.managedServers
  }
  {
    name: 'keymend-vaults'
    description: 'A vault was deleted or written: its firewall, permission model or access policies may have changed.'
    scopes: scopes
    operations: operations.vaults
  }
  {
    name: 'keymend-purges'
    description: 'A deleted vault was purged.'
    scopes: wholeSubscription
    operations: operations.purges
  }
  {
    name: 'keymend-access'
    description: 'A role or a lock was given or taken away, or an identity was deleted.'
    scopes: wholeSubscription
    operations: operations.access
  }
]

resource administrative 'Microsoft.Insights/activityLogAlerts@2020-10-01' = [for rule in rules: {
  name: rule.name
  location: 'global'
  tags: tags
  properties: {
    description: rule.description
    enabled: true
    scopes: rule.scopes
    condition: {
      allOf: [
        {
          field: 'category'
          equals: 'Administrative'
        }
        {
          field: 'operationName'
          containsAny: rule.operations
        }
      ]
    }
    actions: {
      actionGroups: [
        {
          actionGroupId: actionGroupId
        }
      ]
    }
  }
}]

// The last to come: Azure tells a database's health after the first refused connection.
resource health 'Microsoft.Insights/activityLogAlerts@2020-10-01' = {
  name: 'keymend-health'
  location: 'global'
  tags: tags
  properties: {
    description: 'The health of a database or of a vault changed.'
    enabled: true
    scopes: scopes
    condition: {
      allOf: [
        {
          field: 'category'
          equals: 'ResourceHealth'
        }
        {
          anyOf: [
            {
              field: 'resourceType'
              equals: 'Microsoft.Sql/servers/databases'
            }
            {
              field: 'resourceType'
              equals: 'Microsoft.Sql/managedInstances/databases'
            }
            {
              field: 'resourceType'
              equals: 'Microsoft.KeyVault/vaults'
            }
          ]
        }
      ]
    }
    actions: {
      actionGroups: [
        {
          actionGroupId: actionGroupId
        }
      ]
    }
  }
}
