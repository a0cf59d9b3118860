// Package lease keeps the server's Lease: by it a server tells the manager which keys it serves, and it is fenced when it
// cannot. It owns when the Lease is renewed, what it says, and what is confirmed to the fence. It does not own whether the
// view is fresh (package observe), nor what comes of an acknowledgement (package keyring and the manager).
//
// RBAC cannot bind a server to the Lease of its own name; an admission policy of the chart does.
//
// +kubebuilder:rbac:groups=coordination.k8s.io,namespace=tokenwright-system,resources=leases,verbs=create;get;update
package lease
