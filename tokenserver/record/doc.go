// Package record owns the server's records: it writes IssuedTokens and TokenRevocations, and says of what was observed
// which tokens are recorded, live, revoked. Success means that the object is stored. It does not own what is worth a
// record (package grant), what a revocation means (package revocation), nor who watches (package observe) and collects
// (the manager).
//
// What it hands out is shared with the cache of the observer: nobody may change it.
//
// +kubebuilder:rbac:groups=tokenwright.dev,namespace=tokenwright-system,resources=issuedtokens;tokenrevocations,verbs=create;get
// +kubebuilder:rbac:groups=tokenwright.dev,namespace=tokenwright-system,resources=issuedtokens/status,verbs=patch
package record
