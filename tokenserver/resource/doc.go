// Package resource owns what ProtectedResources mean: what of an object is served, who holds an id or a uri that several claim,
// and how a resource is found by id, name, type, scope or uri. It is pure. It does not own who may do what with a resource
// (package policy), nor where the objects come from (package observe).
//
// What is served depends on the given objects only, never on their order or history: the oldest claim of an id, a name or a
// uri holds. How old the claim of a uri is stands in the object's status, where the manager wrote it down.
package resource
