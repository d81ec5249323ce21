// The custom roles of infra/roles, as the files there have them.
targetScope = 'subscription'

@description('Part of the roles\' names, which must be unique in the directory.')
param environmentName string

@description('Which roles are needed: {file, guid}, the file\'s name without .json and the name of the definition.')
param grants array

@description('Subscriptions that the roles can be assigned in.')
param subscriptionIds array

var files = {
  '01-responder-probe': loadJsonContent('../roles/01-responder-probe.json')
  '02-responder-revalidate': loadJsonContent('../roles/02-responder-revalidate.json')
  '03-responder-identity': loadJsonContent('../roles/03-responder-identity.json')
  '04-responder-accesspolicy': loadJsonContent('../roles/04-responder-accesspolicy.json')
  '05-responder-vault-network-and-recover': loadJsonContent('../roles/05-responder-vault-network-and-recover.json')
  '06-responder-key-dataplane': loadJsonContent('../roles/06-responder-key-dataplane.json')
  '07-responder-rbac-grant': loadJsonContent('../roles/07-responder-rbac-grant.json')
  '08-responder-restore-settings': loadJsonContent('../roles/08-responder-restore-settings.json')
}

var assignableScopes = [for id in subscriptionIds: '/subscriptions/${id}']

resource definitions 'Microsoft.Authorization/roleDefinitions@2022-04-01' = [for grant in grants: {
  name: grant.guid
  properties: {
    roleName: '${files[grant.file].Name} (${environmentName})'
    description: files[grant.file].Description
    type: 'CustomRole'
    permissions: [
      {
        actions: files[grant.file].Actions
        notActions: files[grant.file].NotActions
        dataActions: files[grant.file].DataActions
        notDataActions: files[grant.file].NotDataActions
      }
    ]
    assignableScopes: assignableScopes
  }
}]
