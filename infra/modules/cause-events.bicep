// Event Grid's twin of the alert rules for causes: it pushes within seconds, tries again for a day, and counts towards no limit of
// rules. The events of databases are not among these: their loss of a key is no change by anybody.
targetScope = 'subscription'

@description('Name of the event subscription.')
param name string

@description('Resource id of the function that takes the events. It must be deployed already.')
param functionId string

var operations = loadJsonContent('../operations.json')

resource causes 'Microsoft.EventGrid/eventSubscriptions@2025-02-15' = {
  name: name
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
        'Microsoft.Resources.ResourceWriteSuccess'
        'Microsoft.Resources.ResourceDeleteSuccess'
        'Microsoft.Resources.ResourceActionSuccess'
      ]
      // An event subscription compares with 25 values at most.
      advancedFilters: [
        {
          operatorType: 'StringIn'
          key: 'data.operationName'
          values: concat(operations.servers, operations.vaults, operations.purges, operations.access)
        }
      ]
    }
    retryPolicy: {
      maxDeliveryAttempts: 30
      eventTimeToLiveInMinutes: 1440
    }
  }
}
