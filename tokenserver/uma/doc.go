// Package uma serves User-Managed Access (UMA 2.0, Kantara) in the form of Keycloak's authorization services: the protection API
// for resource servers, the grant of requesting party tokens, its older facade (UMA 1), approvals by owners, and AuthZEN. It owns
// their requests, answers and errors, in the specification's spelling or in Keycloak's. It does not own what is granted
// (packages permission and grant), nor what is stored (packages registration and record).
package uma
