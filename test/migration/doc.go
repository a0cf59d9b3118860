// Package migration holds the access rules of other programs, rewritten as policies, and shows that they decide the same.
package migration
