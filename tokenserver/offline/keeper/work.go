package keeper

import (
	"errors"
	"fmt"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// maxRounds bounds how many writes are made at once: the first key takes three (made; published and activated; its
// standby made public).
const maxRounds = 6

// work is one look at one SigningKey.
type work struct {
	*Keeper
	*set
	now    time.Time
	params keyring.Params
	// problems are what is wrong, for people.
	problems []string
	// served says that what is published is that of the ring, and wake when to look again.
	served bool
	wake   time.Time
}

func (w *work) stall(format string, args ...any) {
	w.problems = append(w.problems, fmt.Sprintf(format, args...))
}

// keep plans and writes until nothing is due, as the manager does: each round is one write of the Secret, and then one of
// what is public, so that a later round can build on it.
func (w *work) keep() error {
	var found []keyring.Problem
	w.params, found = keyring.Compile(w.object, w.options.Limits)
	for _, p := range found {
		w.stall("%s", p.Message)
	}
	err := errors.Join(w.publish(), w.keepAuthority()) // in this order: an authority is promoted only once it was public
	w.notePublication()
	for range maxRounds {
		err = errors.Join(err, w.publish())
		ring, revised := w.params.Revise(w.now, w.ring, w.authorities())
		plan := keyring.Plan(w.now, w.params, ring, w.facts())
		if len(plan) == 0 && (!(w.changed || revised) || len(w.ring.Keys) == 0) {
			break
		}
		next, failure := keyring.Execute(ring, plan, w.now, w.params, w.options.Random, w.authorities().Current)
		if failure == nil {
			failure = w.save(next)
		}
		if failure != nil {
			w.show(w.withoutRevoked(plan))
			return errors.Join(err, failure)
		}
		w.tell(plan, next)
		w.ring, w.changed = next, false
	}
	err = errors.Join(err, w.publish())
	w.withdrawOthers()
	w.show(w.ring)
	w.wake = w.next()
	return err
}

// facts are what Plan cannot see in the ring. This server is the only one.
func (w *work) facts() keyring.Facts {
	authority := w.authorities().Current
	facts := keyring.Facts{
		Public: map[string]bool{}, AuthorityUntil: authority.Until(), Authority: authority.ID(),
		Acks: []keyring.Ack{{Server: "this server", Until: w.now.Add(time.Hour), Serves: w.options.Serving()}},
	}
	for _, k := range w.ring.Keys {
		facts.Public[k.Thumbprint] = w.served
	}
	return facts
}

// authorities are those that may be used: none for KeyID, also where there were some before.
func (w *work) authorities() keyring.Held {
	if w.params.Identification != v1alpha1.X509Chain {
		return keyring.Held{}
	}
	return w.held
}

// keepAuthority has the certificate authority ready, for X509Chain, and takes the step that is due. Its file is written
// before the ring that speaks of it.
func (w *work) keepAuthority() error {
	if w.params.Identification != v1alpha1.X509Chain {
		return nil
	}
	held := w.held
	switch {
	case held.Current == nil && len(w.ring.Keys) == 0 && w.params.Hold:
		return nil // there will be no first key
	case held.Current == nil:
		authority, err := keyring.NewAuthority(w.options.Random, w.name, w.now)
		if err != nil {
			return err
		}
		held = keyring.Held{Current: authority}
	default:
		step := w.params.AuthorityStep(w.now, w.ring, held, w.publishedAuthorities())
		if step == "" {
			break
		}
		var err error
		if held, err = keyring.TakeStep(w.options.Random, w.name, step, held, w.now); err != nil {
			return err
		}
	}
	if held != w.held {
		if err := w.saveAuthority(held); err != nil {
			return err
		}
		w.held = held
	}
	if until := w.held.Current.Until(); !w.params.CanActivate(w.now, keyring.Facts{AuthorityUntil: until}) {
		w.stall("the certificate authority ends at %s: no further key can be activated under it; ask for another with the annotation %s",
			until.UTC().Format(time.RFC3339), v1alpha1.AnnotationRotateCA)
	}
	return nil
}

// withoutRevoked is the ring that the server uses if what was planned could not be written: what is revoked must not be used
// although nobody could write that down. It is tried again.
func (w *work) withoutRevoked(plan []keyring.Transition) keyring.Ring {
	var revocations []keyring.Transition
	for _, t := range plan {
		if t.Do == keyring.Revoke {
			revocations = append(revocations, t)
		}
	}
	ring, err := keyring.Execute(w.ring, revocations, w.now, w.params, w.options.Random, nil)
	if err != nil || len(revocations) == 0 {
		return w.ring
	}
	return ring
}

// next is when to look again if nothing happens before.
func (w *work) next() time.Time {
	wake := w.params.Wake(w.now, w.ring)
	if warn := w.params.WarnTime(w.ring); warn.After(w.now) {
		wake = earlier(wake, warn)
	}
	if standby, waits := w.ring.Standby(); waits && w.served && w.ring.AwaitsAcks() {
		// The server needs a moment to serve it; one that does not is not asked ever more.
		wake = earlier(wake, w.now.Add(max(soon, min(w.now.Sub(standby.Created)/4, retry))))
	}
	return wake
}
