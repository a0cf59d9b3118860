package controllers

import (
	"context"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/revocation"
)

// recordedPage is how many records are asked for at once.
const recordedPage = 500

// readRecorded notes until when tokens without an expiry need the keys that would be dropped otherwise: a key stays public
// with the last record that names it. If that cannot be known the key stays, too, because one that is dropped does not come
// back; all else goes on, above all revocation.
//
// The end of a record is what counts, whether or not it is revoked: a revocation can be deleted.
func (w *keyWork) readRecorded(ctx context.Context) error {
	w.params.Recorded = map[string]time.Time{}
	var failed error
	now := w.now()
	for _, k := range w.ring.Keys {
		if k.State != v1alpha1.KeyRetired || now.Before(w.params.DeadTime(k)) {
			continue
		}
		until, err := w.recordedUntil(ctx, k.Thumbprint)
		if err != nil {
			failed = fmt.Errorf("list the IssuedTokens of key %s: %w", k.Thumbprint, err)
			until = now.Add(recheckKeys)
		}
		if !until.IsZero() {
			w.params.Recorded[k.Thumbprint] = until
		}
	}
	return failed
}

// recordedUntil is the latest end of the records that name the key; zero without any.
func (w *keyWork) recordedUntil(ctx context.Context, thumbprint string) (until time.Time, err error) {
	for page := ""; ; {
		var tokens v1alpha1.IssuedTokenList
		err := w.live.List(ctx, &tokens, client.InNamespace(w.key.Namespace), client.MatchingFields{"spec.keyThumbprint": thumbprint},
			client.Limit(recordedPage), client.Continue(page))
		if err != nil {
			return time.Time{}, err
		}
		for i := range tokens.Items {
			if end := revocation.Time(tokens.Items[i].Spec.Expires); end.After(until) {
				until = end
			}
		}
		if page = tokens.Continue; page == "" {
			return until, nil
		}
	}
}
