package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var secrets = schema.GroupVersionKind{Version: "v1", Kind: "Secret"}

// secret reads "name" and "name+" with the label that is selected.
func secret(namespace, name string) *corev1.Secret {
	bare, labelled := strings.CutSuffix(name, "+")
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: bare}}
	if labelled {
		s.Labels = map[string]string{"watched": "yes"}
	}
	return s
}

func (s *Store) set(names ...string) {
	for _, name := range names {
		if gone, ok := strings.CutPrefix(name, "-"); ok {
			s.Change(secrets, nil, []types.NamespacedName{{Namespace: "system", Name: gone}})
			continue
		}
		s.Change(secrets, []client.Object{secret("system", name)}, nil)
	}
}

func watched(t *testing.T, s *Store) cache.ListerWatcherWithContext {
	t.Helper()
	selector, err := labels.Parse("watched")
	if err != nil {
		t.Fatal(err)
	}
	lw, ok := s.ListWatch(secrets, "system", selector).(cache.ListerWatcherWithContext)
	if !ok {
		t.Fatal("informers could not end its watches")
	}
	return lw
}

// heard returns what a watch tells, until nothing more is queued.
func heard(t *testing.T, w watch.Interface, count int) []string {
	t.Helper()
	var out []string
	for range count {
		select {
		case e := <-w.ResultChan():
			object, ok := e.Object.(client.Object)
			if !ok {
				t.Fatalf("%T", e.Object)
			}
			out = append(out, fmt.Sprintf("%s %s", e.Type, object.GetName()))
		case <-time.After(10 * time.Second):
			t.Fatalf("only %v", out)
		}
	}
	select {
	case e := <-w.ResultChan():
		t.Errorf("one more event: %s %v", e.Type, e.Object)
	case <-time.After(20 * time.Millisecond):
	}
	return out
}

func TestListAndWatch(t *testing.T) {
	cases := map[string]struct {
		reason string
		// before is there when the list is asked for, between happens until the watch begins, after while it goes on.
		before, between, after []string
		list, watch            []string
	}{
		"nothing happens":         {"a watch is silent", []string{"a+"}, nil, nil, []string{"a"}, nil},
		"what comes":              {"it is added", nil, []string{"a+"}, []string{"b+"}, nil, []string{"ADDED a", "ADDED b"}},
		"what changes":            {"it is there already", []string{"a+", "b+"}, []string{"a+"}, []string{"b+"}, []string{"a", "b"}, []string{"MODIFIED a", "MODIFIED b"}},
		"what goes":               {"a policy that stays by mistake grants", []string{"a+", "b+"}, []string{"-a"}, []string{"-b"}, []string{"a", "b"}, []string{"DELETED a", "DELETED b"}},
		"what loses the label":    {"it is not selected any more", []string{"a+", "b+"}, []string{"a"}, []string{"b"}, []string{"a", "b"}, []string{"DELETED a", "DELETED b"}},
		"what gets the label":     {"it is selected now", []string{"a", "b"}, []string{"a+"}, []string{"b+"}, nil, []string{"MODIFIED a", "ADDED b"}},
		"what is not selected":    {"nobody hears of it", []string{"a"}, nil, []string{"b", "b", "-b"}, nil, nil},
		"what goes and comes":     {"the last counts, in order", []string{"a+"}, []string{"-a", "a+"}, nil, []string{"a"}, []string{"DELETED a", "ADDED a"}},
		"what is not there":       {"nothing happens", nil, []string{"-a"}, []string{"-a"}, nil, nil},
		"several changes of one":  {"what nobody saw is not told", []string{"a+"}, []string{"a+", "a+", "a+"}, nil, []string{"a"}, []string{"MODIFIED a"}},
		"changes while it is on":  {"each is told", []string{"a+"}, nil, []string{"a+", "a+"}, []string{"a"}, []string{"MODIFIED a", "MODIFIED a"}},
		"another namespace's own": {"it is not looked at", nil, nil, nil, nil, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := &Store{}
			s.Change(secrets, []client.Object{secret("elsewhere", "foreign+")}, nil)
			s.set(c.before...)
			lw := watched(t, s)
			got, err := lw.ListWithContext(t.Context(), metav1.ListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			list, ok := got.(*internalversion.List)
			if !ok {
				t.Fatalf("%T", got)
			}
			var names []string
			for _, item := range list.Items {
				if object, ok := item.(client.Object); ok {
					names = append(names, object.GetName())
				}
			}
			slices.Sort(names)
			if diff := cmp.Diff(c.list, names); diff != "" {
				t.Errorf("%s: listed (-want +got):\n%s", c.reason, diff)
			}
			s.set(c.between...)
			w, err := lw.WatchWithContext(t.Context(), metav1.ListOptions{ResourceVersion: list.ResourceVersion})
			if err != nil {
				t.Fatal(err)
			}
			defer w.Stop()
			s.set(c.after...)
			if diff := cmp.Diff(c.watch, heard(t, w, len(c.watch))); diff != "" {
				t.Errorf("%s: watched (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestAWatchEnds(t *testing.T) {
	cases := map[string]func(watch.Interface, context.CancelFunc){
		"when it is stopped":     func(w watch.Interface, _ context.CancelFunc) { w.Stop(); w.Stop() },
		"when its context ends":  func(_ watch.Interface, cancel context.CancelFunc) { cancel() },
		"though somebody writes": func(w watch.Interface, _ context.CancelFunc) { w.Stop() },
	}
	for name, end := range cases {
		t.Run(name, func(t *testing.T) {
			s := &Store{}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			w, err := watched(t, s).WatchWithContext(ctx, metav1.ListOptions{ResourceVersion: "0"})
			if err != nil {
				t.Fatal(err)
			}
			s.set("a+", "b+")
			end(w, cancel)
			for range w.ResultChan() { // until it is closed
				continue
			}
			s.set("c+")
			s.mu.Lock()
			defer s.mu.Unlock()
			if left := len(s.kind(secrets).watchers); left > 0 {
				t.Errorf("%d watches are still told of everything", left)
			}
		})
	}
}

func TestWhereAWatchCannotBegin(t *testing.T) {
	s := &Store{}
	for i := range maxGraves + 1 {
		name := strconv.Itoa(i)
		s.set(name+"+", "-"+name)
	}
	cases := map[string]struct {
		reason, version string
		want            func(error) bool
	}{
		"before what is forgotten": {"informers list again then, and miss no deletion", "1", apierrors.IsResourceExpired},
		"in the future":            {"there was no such list", "999999", apierrors.IsBadRequest},
		"nowhere":                  {"that is no version", "x", apierrors.IsBadRequest},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := watched(t, s).WatchWithContext(t.Context(), metav1.ListOptions{ResourceVersion: c.version})
			if !c.want(err) {
				t.Errorf("%s: %v", c.reason, err)
			}
		})
	}
	w, err := watched(t, s).WatchWithContext(t.Context(), metav1.ListOptions{ResourceVersion: "2"})
	if err != nil {
		t.Fatalf("just after what is forgotten: %v", err)
	}
	w.Stop()
}

func TestWhatAnObjectIsGiven(t *testing.T) {
	s := &Store{}
	name := types.NamespacedName{Namespace: "system", Name: "a"}
	given := func() metav1.ObjectMeta {
		object, ok := s.Get(secrets, name)
		if !ok {
			t.Fatal("it is not there")
		}
		return metav1.ObjectMeta{UID: object.GetUID(), Generation: object.GetGeneration(), ResourceVersion: object.GetResourceVersion()}
	}
	s.set("a")
	first := given()
	s.set("a")
	second := given()
	if second.UID != first.UID || second.Generation != 2 || second.ResourceVersion == first.ResourceVersion {
		t.Errorf("changed: %+v, then %+v", first, second)
	}
	s.set("-a", "a")
	third := given()
	if third.UID == first.UID || third.Generation != 1 {
		t.Errorf("made anew: %+v, then %+v: it is another object", first, third)
	}
	own := secret("system", "a")
	own.UID = "given"
	s.Change(secrets, []client.Object{own}, nil)
	if fourth := given(); fourth.UID != "given" || fourth.Generation != 1 {
		t.Errorf("an object with a UID of its own got %+v", fourth)
	}
	if _, ok := s.Get(secrets, types.NamespacedName{Name: "a"}); ok {
		t.Error("found in no namespace")
	}
	if diff := cmp.Diff([]types.NamespacedName{name}, s.Names(secrets)); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

// TestInformersSeeEverything has several write while informers list and watch: in the end all know the same.
func TestInformersSeeEverything(t *testing.T) {
	s := &Store{}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var informers []cache.SharedIndexInformer
	for range 3 {
		informer := cache.NewSharedIndexInformer(s.ListWatch(secrets, "system", labels.Everything()), &corev1.Secret{}, 0, cache.Indexers{})
		informers = append(informers, informer)
		go informer.RunWithContext(ctx)
	}
	var writers sync.WaitGroup
	for writer := range 4 {
		writers.Go(func() {
			for i := range 500 {
				name := fmt.Sprintf("%d-%d", writer, i%20)
				s.set(name)
				if i%3 == 0 {
					s.set("-" + name)
				}
			}
		})
	}
	writers.Wait()
	want := s.Names(secrets)
	versions := map[string]string{}
	for _, name := range want {
		object, _ := s.Get(secrets, name)
		versions[name.String()] = object.GetResourceVersion()
	}
	for i, informer := range informers {
		deadline := time.Now().Add(20 * time.Second)
		for {
			got := map[string]string{}
			for _, item := range informer.GetStore().List() {
				if object, ok := item.(client.Object); ok {
					got[client.ObjectKeyFromObject(object).String()] = object.GetResourceVersion()
				}
			}
			diff := cmp.Diff(versions, got)
			if diff == "" && informer.HasSynced() {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("informer %d (-want +got):\n%s", i, diff)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}
