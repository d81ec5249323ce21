// What a vault tells of its keys: the Activity Log says nothing of a key's expiry. A recovered vault has lost this subscription:
// deploy again.

@description('Name of the event subscription.')
param name string

@description('Name of the vault, in this resource group.')
param vaultName string

@description('Resource id of the function that takes the events. It must be deployed already.')
param functionId string

resource vault 'Microsoft.KeyVault/vaults@2026-02-01' existing = {
  name: vaultName
}

resource keys 'Microsoft.EventGrid/eventSubscriptions@2025-02-15' = {
  name: name
  scope: vault
  properties: {
    destination: {
      endpointType: 'AzureFunction'
      properties: {
        resourceId: functionId
        maxEventsPerBatch: 1
      }
    }
    eventDeliverySchema: 'EventGridSchema'
    filter: {
      includedEventTypes: [
        'Microsoft.KeyVault.KeyNearExpiry'
        'Microsoft.KeyVault.KeyExpired'
        'Microsoft.KeyVault.KeyNewVersionCreated'
        'Microsoft.KeyVault.VaultAccessPolicyChanged'
      ]
    }
    retryPolicy: {
      maxDeliveryAttempts: 30
      eventTimeToLiveInMinutes: 1440
    }
  }
}
