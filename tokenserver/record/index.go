package record

import (
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/revocation"
)

// Index is what was observed of records and revocations: observe.Records. Its zero value is empty and ready.
type Index struct {
	revocations revocation.Set

	mu sync.RWMutex
	// byName are the records by the names of their objects, which have their place in the status lists and no other's.
	byName map[string]*v1alpha1.IssuedToken
	// bySubject are the same by user name. A user has few.
	bySubject map[string][]*v1alpha1.IssuedToken
}

// PutRecord takes in a record, in place of what its name stood for.
func (x *Index) PutRecord(t *v1alpha1.IssuedToken) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.byName == nil {
		x.byName, x.bySubject = map[string]*v1alpha1.IssuedToken{}, map[string][]*v1alpha1.IssuedToken{}
	}
	old := x.byName[t.Name]
	x.byName[t.Name] = t
	mine := x.bySubject[t.Spec.Subject.Username]
	if old != nil {
		if at := slices.Index(mine, old); at >= 0 {
			mine[at] = t
			return
		}
		x.leaveSubject(old)
	}
	x.bySubject[t.Spec.Subject.Username] = append(mine, t)
}

// DeleteRecord drops the record of the name.
func (x *Index) DeleteRecord(name string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if old, ok := x.byName[name]; ok {
		delete(x.byName, name)
		x.leaveSubject(old)
	}
}

// leaveSubject takes a record from its subject. Whoever calls it holds the lock.
func (x *Index) leaveSubject(t *v1alpha1.IssuedToken) {
	username := t.Spec.Subject.Username
	rest := slices.DeleteFunc(x.bySubject[username], func(other *v1alpha1.IssuedToken) bool { return other == t })
	if len(rest) == 0 {
		delete(x.bySubject, username)
		return
	}
	x.bySubject[username] = rest
}

// PutRevocation takes in a revocation, in place of what its name stood for.
func (x *Index) PutRevocation(r *v1alpha1.TokenRevocation) { x.revocations.Put(r.Name, r.Spec) }

// DeleteRevocation lifts the revocation of the name.
func (x *Index) DeleteRevocation(name string) { x.revocations.Delete(name) }

// Revocations are what is revoked.
func (x *Index) Revocations() *revocation.Set { return &x.revocations }

// Len is the number of records, live or not.
func (x *Index) Len() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.byName)
}

// named returns the record of the object's name; nil if there is none.
func (x *Index) named(name string) *v1alpha1.IssuedToken {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.byName[name]
}

// All are the records, live or not, in no order: those of one moment.
func (x *Index) All() iter.Seq[*v1alpha1.IssuedToken] {
	x.mu.RLock()
	all := make([]*v1alpha1.IssuedToken, 0, len(x.byName))
	for _, t := range x.byName {
		all = append(all, t)
	}
	x.mu.RUnlock()
	return slices.Values(all)
}

// of returns a user's records, live or not, in no order.
func (x *Index) of(username string) []*v1alpha1.IssuedToken {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return slices.Clone(x.bySubject[username])
}

// Live says whether a recorded token is good as far as its record goes: it has not expired, is not revoked, and its record
// is not on its way out. Whether its policy and its provider still speak for it is not known here.
func (x *Index) Live(t *v1alpha1.IssuedToken, now time.Time) bool {
	expires, err := t.Spec.Expires.Parse()
	return err == nil && now.Before(expires) && t.DeletionTimestamp.IsZero() && !x.Revoked(t)
}

// Revoked says whether a recorded token is revoked, by its id or by its subject.
func (x *Index) Revoked(t *v1alpha1.IssuedToken) bool {
	return x.revocations.Token(t.Spec.ID) ||
		x.revocations.Record(t.Spec.Subject.Username, string(t.Spec.Audience), t.CreationTimestamp.Time)
}
