// The identity that Keymend acts as. It outlives the app, so rights need not be given again when the app is made anew.

@description('Name of the identity.')
param name string

@description('Region.')
param location string

@description('Tags.')
param tags object

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: name
  location: location
  tags: tags
}

@description('Resource id.')
output id string = identity.id

@description('Application id.')
output clientId string = identity.properties.clientId

@description('Object id.')
output principalId string = identity.properties.principalId
