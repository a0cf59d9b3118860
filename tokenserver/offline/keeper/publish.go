package keeper

import (
	"fmt"
	"slices"

	"github.com/tokenwright/tokenwright/tokenserver/keyring"
	"github.com/tokenwright/tokenwright/tokenserver/offline/state"
)

// home is where the public part is: what in a cluster is the ConfigMap.
func (w *work) home() keyring.Publication {
	return keyring.Publication{Namespace: w.options.Namespace, Name: keyring.ConfigMapName(w.object)}
}

// publish makes the public files hold the ring, and notes whether they do. Without a state folder there are none: what the
// server shows is public.
func (w *work) publish() error {
	w.served = false
	switch {
	case len(w.ring.Keys) == 0:
		return nil // never an empty set
	case w.options.State == nil:
		w.served = true
		return nil
	}
	name := w.home().Name
	mark, err := w.options.State.Published(name)
	if err != nil {
		return err
	}
	if mark.SigningKey != "" && mark.SigningKey != w.name {
		w.stallOnce(fmt.Sprintf("its keys cannot be published as %q, which are those of SigningKey %q: give another spec.publish.configMapName",
			name, mark.SigningKey))
		return nil
	}
	data, err := keyring.PublicData(w.ring)
	if err != nil {
		return err
	}
	if err := w.options.State.Publish(name, data, state.Mark{SigningKey: w.name, Generation: w.ring.Generation}); err != nil {
		return err
	}
	w.served, w.public = true, keyring.ParseAuthorities([]byte(data[keyring.EntryAuthorities]))
	return nil
}

func (w *work) stallOnce(message string) {
	if !slices.Contains(w.problems, message) {
		w.problems = append(w.problems, message)
	}
}

// notePublication adds the place to the ring, so that none is forgotten that something was put to.
func (w *work) notePublication() {
	if home := w.home(); !slices.Contains(w.ring.Publications, home) {
		w.ring.Publications = append(slices.Clone(w.ring.Publications), home)
		w.changed = true
	}
}

// withdrawOthers removes what was published under another name, once it is published under this.
func (w *work) withdrawOthers() {
	if !w.served {
		return
	}
	var kept []keyring.Publication
	for _, place := range w.ring.Publications {
		err := error(nil)
		if place != w.home() {
			err = w.withdraw(place.Name)
		}
		if err != nil {
			w.options.Log.Error(err, "Could not withdraw what was published", "signingKey", w.name)
		}
		if place == w.home() || err != nil {
			kept = append(kept, place)
		}
	}
	if len(kept) < len(w.ring.Publications) {
		w.ring.Publications, w.changed = kept, true // which is written with the next change, or the next look
	}
}

// withdraw removes what is published under the name if it is this SigningKey's.
func (w *work) withdraw(name string) error {
	if w.options.State == nil {
		return nil
	}
	mark, err := w.options.State.Published(name)
	if err != nil || mark.SigningKey != w.name {
		return err
	}
	return w.options.State.Withdraw(name)
}

// publishedAuthorities are those that registries can have got to know.
func (w *work) publishedAuthorities() [][]byte { return w.public }
