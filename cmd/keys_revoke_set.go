package cmd

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// What the schema allows in spec.revokedKeyIDs.
const (
	maxRevokedKeyIDs = 64
	maxKeyIDLength   = 128
)

// keyRevocation is what a command does to spec.revokedKeyIDs.
type keyRevocation struct {
	// ids is the list as it has to be.
	ids []string
	// added are those that were not in the list, and dropped those that had to make room: they named no key any more.
	added, dropped []string
	// unknown are the ids that name no key; they are in the list nevertheless.
	unknown []string
	// dead are the keys that are named, with their states of before.
	dead []v1alpha1.KeyStatus
	// left are Retired keys for which --all found no room.
	left []v1alpha1.KeyStatus
}

// revoke returns what naming these ids does to the SigningKey.
func revoke(key *v1alpha1.SigningKey, ids []string) (keyRevocation, error) {
	r := keyRevocation{ids: slices.Clone(key.Spec.RevokedKeyIDs)}
	for _, id := range ids {
		if n := utf8.RuneCountInString(id); n == 0 || n > maxKeyIDLength {
			return keyRevocation{}, fmt.Errorf("key id %q must have 1 to %d characters", id, maxKeyIDLength)
		}
		k, known := find(key, id)
		same := []string{id}
		if known {
			same = idsOf(k)
			if !slices.ContainsFunc(r.dead, func(d v1alpha1.KeyStatus) bool { return d.Thumbprint == k.Thumbprint }) {
				r.dead = append(r.dead, k)
			}
		} else if !slices.Contains(r.unknown, id) {
			r.unknown = append(r.unknown, id)
		}
		if slices.ContainsFunc(r.ids, func(listed string) bool { return slices.Contains(same, listed) }) {
			continue
		}
		r.ids, r.added = append(r.ids, id), append(r.added, id)
	}
	return r.bounded(key)
}

// bounded drops ids that name no key of the SigningKey, the oldest first, until the list is as short as it must be. What
// this command names stays.
func (r keyRevocation) bounded(key *v1alpha1.SigningKey) (keyRevocation, error) {
	r.ids = slices.DeleteFunc(r.ids, func(id string) bool {
		if len(r.ids)-len(r.dropped) <= maxRevokedKeyIDs || slices.Contains(r.added, id) || slices.Contains(r.unknown, id) {
			return false
		}
		if _, known := find(key, id); known {
			return false
		}
		r.dropped = append(r.dropped, id)
		return true
	})
	if len(r.ids) > maxRevokedKeyIDs {
		return keyRevocation{}, fmt.Errorf(
			"spec.revokedKeyIDs of SigningKey %q would have %d entries, and %d are allowed; none can be dropped, because each names a key that status.keys still has, or is named now",
			key.Name, len(r.ids), maxRevokedKeyIDs)
	}
	return r, nil
}

// revokeAll returns what revoking every key does. Retired ones are named too: a copy of the Secret from before they
// retired has their private halves. Where there is no room for all, the oldest of these are left out.
func revokeAll(key *v1alpha1.SigningKey) (keyRevocation, error) {
	var alive []v1alpha1.KeyStatus
	for _, e := range entriesOf(key, nil) {
		if e.State != v1alpha1.KeyRevoked {
			alive = append(alive, e.KeyStatus)
		}
	}
	var left []v1alpha1.KeyStatus
	for {
		ids := make([]string, 0, len(alive))
		for _, k := range alive {
			ids = append(ids, k.KeyID)
		}
		r, err := revoke(key, ids)
		if err == nil {
			r.left = left
			return r, nil
		}
		last := len(alive) - 1
		if last < 0 || alive[last].State != v1alpha1.KeyRetired {
			return keyRevocation{}, err
		}
		alive, left = alive[:last], append(left, alive[last])
	}
}
