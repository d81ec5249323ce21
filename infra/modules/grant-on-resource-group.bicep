// Gives Keymend's identity roles on a resource group: the group of a vault, not the vault, which takes its assignments along when
// it is deleted.

@description('Object id of the identity.')
param principalId string

@description('Roles: {file, guid}.')
param roles array

// Whoever may assign roles can make itself master of everything. This condition leaves one role to give, to programs only.
var grantRole = '07-responder-rbac-grant'
var grantCondition = loadTextContent('../roles/07-condition.txt')

resource assignments 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for role in roles: {
  name: guid(resourceGroup().id, principalId, role.guid)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.guid)
    principalId: principalId
    principalType: 'ServicePrincipal'
    condition: role.file == grantRole ? grantCondition : null
    conditionVersion: role.file == grantRole ? '2.0' : null
  }
}]
