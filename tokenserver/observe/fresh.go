package observe

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

const (
	// catchUp is for how long the informer is waited for before the API server is asked again.
	catchUp = 500 * time.Millisecond
	// catchUpPoll is how often is looked.
	catchUpPoll = 5 * time.Millisecond
)

// keyVersions are the UIDs and resource versions of the Secrets of keys, by name.
type keyVersions map[string]string

// HeardFrom returns the kind that was not heard from for longest, and when it was; the zero time if it never was.
func (o *Observer) HeardFrom() (oldest time.Time, kind string) { return o.hearing.oldest() }

// Fresh returns a time at which the view was current: every kind was heard from then or later, and the current snapshot
// is made of the key sets that the API server has now. The error says why that is not known.
//
// The API server is asked about the keys, because its watches come from a cache of its own: one that has fallen behind
// goes on to send bookmarks. Lists without a resource version do not.
func (o *Observer) Fresh(ctx context.Context) (time.Time, error) {
	if err := o.Ready(); err != nil {
		return time.Time{}, err
	}
	began := time.Now()
	if o.options.Source != nil {
		return began, nil // nothing lies between it and this
	}
	oldest, kind := o.HeardFrom()
	if o.hearing.overdue(oldest, began) {
		return time.Time{}, fmt.Errorf("nothing was heard about %s %s", kind, since(oldest))
	}
	if err := o.keysAreCurrent(ctx); err != nil {
		return time.Time{}, err
	}
	if oldest.Before(began) {
		return oldest, nil
	}
	return began, nil
}

func since(t time.Time) string {
	if t.IsZero() {
		return "yet"
	}
	return "since " + t.UTC().Format(time.RFC3339)
}

// keysAreCurrent returns nil when the current snapshot is made of the Secrets that the API server has. The informer may
// need a moment to see what has just been written, and in that moment more may be.
func (o *Observer) keysAreCurrent(ctx context.Context) error {
	var behind error
	for {
		live, err := o.liveKeys(ctx)
		if err != nil {
			return errors.Join(behind, err)
		}
		for end := time.Now().Add(catchUp); time.Now().Before(end); {
			seen := o.keysSeen.Load()
			if seen != nil && maps.Equal(*seen, live) {
				return nil
			}
			behind = fmt.Errorf("the key sets in use are not those that the API server has: %s", seen.difference(live))
			if !sleep(ctx, catchUpPoll) {
				return behind
			}
		}
	}
}

// liveKeys asks the API server for what it knows for certain, and for no content.
func (o *Observer) liveKeys(ctx context.Context) (keyVersions, error) {
	// Those without the label that the cache goes by are out of sight, whatever they hold.
	list, err := o.secrets.Namespace(o.options.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: v1alpha1.LabelSigningKey + "," + v1alpha1.LabelWatch,
	})
	if err != nil {
		return nil, fmt.Errorf("ask the API server for the key sets: %w", err)
	}
	live := make(keyVersions, len(list.Items))
	for i := range list.Items {
		live.add(&list.Items[i])
	}
	return live, nil
}

func (v keyVersions) add(secret metav1.Object) {
	v[secret.GetName()] = version(secret)
}

// version tells contents of an object of a name apart.
func version(object metav1.Object) string {
	return string(object.GetUID()) + "/" + object.GetResourceVersion()
}

// difference names a Secret that is not the same in both.
func (v *keyVersions) difference(live keyVersions) string {
	if v == nil {
		return "none was read"
	}
	for name := range live {
		if live[name] != (*v)[name] {
			return "Secret " + name + " is another"
		}
	}
	for name := range *v {
		if _, ok := live[name]; !ok {
			return "Secret " + name + " is gone"
		}
	}
	return "they were a moment ago"
}

// newSecrets returns a client for the metadata of Secrets. It does not share the observer's patience: it is told how long
// it may take.
func newSecrets(config *rest.Config) (metadata.Getter, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1 // one request in some seconds
	client, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return client.Resource(corev1.SchemeGroupVersion.WithResource("secrets")), nil
}
