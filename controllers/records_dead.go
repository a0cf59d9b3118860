package controllers

import (
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/revocation"
	"github.com/tokenwright/tokenwright/tokenserver/slot"
)

// deadRecords returns what may be deleted, by what had ended at the time:
//
//   - an IssuedToken that has expired;
//   - an IssuedToken of a refresh token that is revoked. One of an access token stays until it expires: verifiers that go by
//     status lists only see its place, and another token in that place would bring it back;
//   - a TokenRevocation of a recorded token whose record is gone: no server takes the token without;
//   - a TokenRevocation that has expired, when no record is there that it speaks of. Whoever wrote its expires may have been
//     wrong, and a revocation must never end before what it revokes.
func deadRecords(tokens []v1alpha1.IssuedToken, revocations []v1alpha1.TokenRevocation, ended time.Time) []client.Object {
	var revoked revocation.Set
	for i := range revocations {
		revoked.Put(revocations[i].Name, revocations[i].Spec)
	}
	var dead []client.Object
	for i := range tokens {
		t := &tokens[i]
		gone := revocation.Time(t.Spec.Expires).Before(ended) || t.Spec.Type == v1alpha1.RefreshToken && isRevoked(&revoked, t)
		if gone && t.DeletionTimestamp.IsZero() {
			dead = append(dead, t)
		}
	}
	records := recordsOf(tokens)
	for i := range revocations {
		r := &revocations[i]
		over := revocation.Until(r.Spec, r.CreationTimestamp.Time).Before(ended) || recorded(r) && r.CreationTimestamp.Time.Before(ended)
		if over && r.DeletionTimestamp.IsZero() && !records.has(r) {
			dead = append(dead, r)
		}
	}
	return dead
}

// recorded says whether a revocation is of one recorded token.
func recorded(r *v1alpha1.TokenRevocation) bool {
	if r.Spec.Token == nil {
		return false
	}
	_, ok := slot.Parse(r.Spec.Token.ID)
	return ok
}

func isRevoked(revoked *revocation.Set, t *v1alpha1.IssuedToken) bool {
	return revoked.Token(t.Spec.ID) ||
		revoked.Record(t.Spec.Subject.Username, string(t.Spec.Audience), t.CreationTimestamp.Time)
}

// records are all that are there, by id and by user.
type records struct {
	ids   map[string]bool
	users map[string][]*v1alpha1.IssuedToken
}

func recordsOf(tokens []v1alpha1.IssuedToken) records {
	r := records{ids: make(map[string]bool, len(tokens)), users: make(map[string][]*v1alpha1.IssuedToken, len(tokens))}
	for i := range tokens {
		r.ids[tokens[i].Spec.ID] = true
		username := tokens[i].Spec.Subject.Username
		r.users[username] = append(r.users[username], &tokens[i])
	}
	return r
}

// has says whether a record is there that the revocation speaks of.
func (r records) has(of *v1alpha1.TokenRevocation) bool {
	if of.Spec.Token != nil {
		return r.ids[of.Spec.Token.ID]
	}
	var only revocation.Set
	only.Put(of.Name, of.Spec)
	if of.Spec.Subject == nil {
		return false
	}
	for _, t := range r.users[of.Spec.Subject.Username] {
		if isRevoked(&only, t) {
			return true
		}
	}
	return false
}
