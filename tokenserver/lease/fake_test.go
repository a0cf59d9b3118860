package lease

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"

	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

var resource = schema.GroupResource{Group: "coordination.k8s.io", Resource: "leases"}

// apiServer holds one Lease and compares resource versions. Only what a server may do is there: anything else panics.
type apiServer struct {
	coordinationclient.LeaseInterface

	mu     sync.Mutex
	lease  *coordinationv1.Lease
	number int
	writes int
	calls  int
	// before is asked before each call; what it returns is the answer. after is asked once the call was carried out.
	before, after func(ctx context.Context, verb string) error
}

func (a *apiServer) call(ctx context.Context, verb string, do func() (*coordinationv1.Lease, error)) (*coordinationv1.Lease, error) {
	a.mu.Lock()
	a.calls++
	before, after := a.before, a.after
	a.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if before != nil {
		if err := before(ctx, verb); err != nil {
			return nil, err
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	lease, err := do()
	if err == nil && after != nil {
		err = after(ctx, verb)
	}
	return lease.DeepCopy(), err
}

func (a *apiServer) Get(ctx context.Context, name string, _ metav1.GetOptions) (*coordinationv1.Lease, error) {
	return a.call(ctx, "get", func() (*coordinationv1.Lease, error) {
		if a.lease == nil || a.lease.Name != name {
			return nil, apierrors.NewNotFound(resource, name)
		}
		return a.lease, nil
	})
}

func (a *apiServer) Create(ctx context.Context, lease *coordinationv1.Lease, _ metav1.CreateOptions) (*coordinationv1.Lease, error) {
	return a.call(ctx, "create", func() (*coordinationv1.Lease, error) {
		if a.lease != nil {
			return nil, apierrors.NewAlreadyExists(resource, lease.Name)
		}
		return a.store(lease), nil
	})
}

func (a *apiServer) Update(ctx context.Context, lease *coordinationv1.Lease, _ metav1.UpdateOptions) (*coordinationv1.Lease, error) {
	return a.call(ctx, "update", func() (*coordinationv1.Lease, error) {
		switch {
		case a.lease == nil:
			return nil, apierrors.NewNotFound(resource, lease.Name)
		case a.lease.ResourceVersion != lease.ResourceVersion:
			return nil, apierrors.NewConflict(resource, lease.Name, errors.New("it was changed"))
		}
		return a.store(lease), nil
	})
}

func (a *apiServer) store(lease *coordinationv1.Lease) *coordinationv1.Lease {
	a.number++
	a.writes++
	a.lease = lease.DeepCopy()
	a.lease.ResourceVersion = strconv.Itoa(a.number)
	return a.lease
}

// put writes as somebody else; nil deletes.
func (a *apiServer) put(change func(*coordinationv1.Lease) *coordinationv1.Lease) {
	a.mu.Lock()
	defer a.mu.Unlock()
	changed := change(a.lease.DeepCopy())
	if changed == nil {
		a.lease = nil
		return
	}
	a.store(changed)
	a.writes--
}

func (a *apiServer) fail(before, after func(ctx context.Context, verb string) error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.before, a.after = before, after
}

func (a *apiServer) got() (lease *coordinationv1.Lease, writes int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lease.DeepCopy(), a.writes
}

// view is fresh as of now, unless it is told otherwise.
type view struct {
	mu    sync.Mutex
	fresh func(ctx context.Context) (time.Time, error)
}

func (v *view) Fresh(ctx context.Context) (time.Time, error) {
	v.mu.Lock()
	fresh := v.fresh
	v.mu.Unlock()
	if fresh != nil {
		return fresh(ctx)
	}
	return time.Now(), nil
}

func (v *view) set(fresh func(ctx context.Context) (time.Time, error)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.fresh = fresh
}

// world is a Keeper whose clock is synctest's.
type world struct {
	*Keeper
	api    *apiServer
	view   *view
	holder *snapshot.Holder
	fence  *snapshot.Fence
	logged *[]string
	// stop ends the Keeper and waits for it.
	stop func()
}

func start(t *testing.T, limit time.Duration, prepare func(*world)) *world {
	t.Helper()
	w := &world{api: &apiServer{}, view: &view{}, holder: &snapshot.Holder{}, fence: snapshot.NewFence(limit), logged: &[]string{}}
	w.holder.Store(&snapshot.Snapshot{Serves: []string{"a"}})
	if prepare != nil {
		prepare(w)
	}
	log := logr.New(funcr.New(func(_, args string) { *w.logged = append(*w.logged, args) }, funcr.Options{}).GetSink())
	keeper, err := New(Options{
		Client: w.api, PodName: "pod-0", PodUID: "uid-0", MaxStaleness: limit, View: w.view, Snapshots: w.holder, Fence: w.fence, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Keeper = keeper
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- keeper.Start(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Start returned %v", err)
		}
	})
	t.Cleanup(w.stop)
	synctest.Wait()
	return w
}

// pass lets time pass, and waits until all that comes of it has come.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (w *world) signs() bool { return w.fence.Check(time.Now()) == nil }
