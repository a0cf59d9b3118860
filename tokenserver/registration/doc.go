// Package registration owns what servers store of protected resources: the ProtectedResources that resource servers register,
// and the PermissionRequests by which others ask the owners, with what is decided of them. Success means that it is stored. It
// does not own who may do so (package uma), what a resource means (package resource), nor who watches (package observe).
//
// An object whose spec anybody else has written, by kubectl or from Git, is not changed and not deleted: that would be undone, or
// would undo what was meant.
package registration
