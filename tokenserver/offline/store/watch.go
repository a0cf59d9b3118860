package store

import (
	"context"
	"strconv"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// selection is what a list or watch asks for.
type selection struct {
	store     *Store
	kind      schema.GroupVersionKind
	namespace string
	selector  labels.Selector
}

// listerWatcher tells informers that a list comes first and a watch after it. A watch that begins with a list, which
// informers prefer, spares an API server memory; here a list is of pointers.
type listerWatcher struct{ cache.ListWatch }

// IsWatchListSemanticsUnSupported is what informers look for.
func (*listerWatcher) IsWatchListSemanticsUnSupported() bool { return true }

// ListWatch returns how the objects of a kind are listed and watched: of one namespace, unless that is empty, and with
// such labels. A watch goes on until its context ends; so it needs no bookmarks.
func (s *Store) ListWatch(kind schema.GroupVersionKind, namespace string, selector labels.Selector) cache.ListerWatcher {
	of := selection{store: s, kind: kind, namespace: namespace, selector: selector}
	return &listerWatcher{cache.ListWatch{
		ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) { return of.list(), nil },
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return of.watch(ctx, options.ResourceVersion)
		},
	}}
}

func (of selection) matches(object client.Object) bool {
	return object != nil && (of.namespace == "" || object.GetNamespace() == of.namespace) &&
		of.selector.Matches(labels.Set(object.GetLabels()))
}

// list returns all of it, in no order.
func (of selection) list() runtime.Object {
	of.store.mu.Lock()
	defer of.store.mu.Unlock()
	out := &internalversion.List{}
	out.ResourceVersion = strconv.FormatInt(of.store.version, 10)
	for _, e := range of.store.kind(of.kind).objects {
		if of.matches(e.object) {
			out.Items = append(out.Items, e.object)
		}
	}
	return out
}

// watch tells what happens after the version.
func (of selection) watch(ctx context.Context, after string) (watch.Interface, error) {
	of.store.mu.Lock()
	defer of.store.mu.Unlock()
	version, err := strconv.ParseInt(after, 10, 64)
	if err != nil || version > of.store.version {
		return nil, apierrors.NewBadRequest("a watch begins where a list ended, and " + strconv.Quote(after) + " is none of its versions")
	}
	kind := of.store.kind(of.kind)
	events, known := kind.since(version)
	if !known {
		return nil, apierrors.NewResourceExpired("what was deleted after version " + after + " is forgotten")
	}
	w := &watcher{of: of, wake: make(chan struct{}, 1), result: make(chan watch.Event), stopped: make(chan struct{})}
	for _, e := range events {
		w.add(e)
	}
	kind.watchers[w] = struct{}{}
	go w.send(ctx)
	return w, nil
}

// watcher is one watch. What happens waits in a queue without a bound: nothing that is written waits for who reads.
type watcher struct {
	of      selection
	wake    chan struct{}
	result  chan watch.Event
	stopped chan struct{}
	stop    sync.Once

	mu    sync.Mutex
	queue []watch.Event
}

// add queues what the event means to this watch: an object that is no longer selected is gone.
func (w *watcher) add(e event) {
	was, is := w.of.matches(e.before), w.of.matches(e.after)
	var out watch.Event
	switch {
	case is && was:
		out = watch.Event{Type: watch.Modified, Object: e.after}
	case is:
		out = watch.Event{Type: watch.Added, Object: e.after}
	case e.after == nil && was:
		out = watch.Event{Type: watch.Deleted, Object: e.before}
	case e.after != nil && (was || e.before == e.after):
		// It changed so that it is not selected any more; what it was before a watch began is not known.
		out = watch.Event{Type: watch.Deleted, Object: e.after}
	default:
		return
	}
	w.mu.Lock()
	w.queue = append(w.queue, out)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// send hands out what is queued until somebody stops the watch.
func (w *watcher) send(ctx context.Context) {
	defer close(w.result)
	defer w.leave()
	for {
		w.mu.Lock()
		queue := w.queue
		w.queue = nil
		w.mu.Unlock()
		for _, e := range queue {
			select {
			case w.result <- e:
			case <-w.stopped:
				return
			case <-ctx.Done():
				return
			}
		}
		select {
		case <-w.wake:
		case <-w.stopped:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (w *watcher) leave() {
	w.of.store.mu.Lock()
	defer w.of.store.mu.Unlock()
	delete(w.of.store.kind(w.of.kind).watchers, w)
}

// ResultChan implements watch.Interface.
func (w *watcher) ResultChan() <-chan watch.Event { return w.result }

// Stop implements watch.Interface.
func (w *watcher) Stop() { w.stop.Do(func() { close(w.stopped) }) }
