// Package controllers holds what the manager runs: one controller for each kind, which compares the object with what
// there is and writes what is missing. It owns every status, and the Secrets and ConfigMaps of SigningKeys.
//
// It does not own what an object means: that is decided by the pure packages (policy, keyring, provider), which the
// servers use too, so that a status never says anything else than what a server does.
package controllers
