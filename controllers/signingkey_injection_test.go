package controllers

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// fault is what happens to one call of the API server.
type fault string

const (
	// refusal: the call fails and nothing was done.
	refusal fault = "refused"
	// lostAnswer: the call is carried out, and the caller is told that it failed.
	lostAnswer fault = "answer lost"
	// conflicting: the call is refused because somebody else was faster.
	conflicting fault = "conflict"
	// timeout: the call fails, and so does every later one of this reconcile, because its context is over.
	timeout fault = "timeout"
	// killedBefore and killedAfter: the manager dies at the call. The next one starts with empty memory.
	killedBefore fault = "killed before"
	killedAfter  fault = "killed after"
	// overtaken: between what was read and this call another manager does all that there is to do.
	overtaken fault = "overtaken"
)

// faultsOf are the faults that differ from one another at this call: where nothing is written, a lost answer is a refusal
// and it makes no difference when the manager is killed.
func faultsOf(c call) []fault {
	if c.writes {
		return []fault{refusal, lostAnswer, conflicting, timeout, killedBefore, killedAfter, overtaken}
	}
	return []fault{refusal, timeout, killedBefore, overtaken}
}

// killed is what ends a manager in the middle of a call.
type killed struct{ at string }

// call is one call that was made.
type call struct {
	verb, object string
	writes       bool
}

func (c call) String() string { return c.verb + " " + c.object }

// injector stands between one manager and the API server, and counts.
type injector struct {
	// faults are by the number of the call, from 1.
	faults map[int]fault
	calls  []call
	// strike chooses faults in another way than by number.
	strike func(call) fault
	// wrote is called after each write that was carried out.
	wrote func()
	// overtake lets another manager work.
	overtake func()
	// over says that the context of this reconcile has ended.
	over bool
	// writes counts what was carried out; struck counts the faults by number that happened.
	writes, struck int
}

// begin starts to count anew, with these faults.
func (i *injector) begin(faults map[int]fault) { i.faults, i.calls, i.struck = faults, nil, 0 }

// do makes the call, or what the fault makes of it.
func (i *injector) do(c call, carryOut func() error) error {
	i.calls = append(i.calls, c)
	if i.over {
		return fmt.Errorf("%s: %w", c, context.DeadlineExceeded)
	}
	kind := i.faults[len(i.calls)]
	if kind != "" {
		i.struck++
	} else if i.strike != nil {
		kind = i.strike(c)
	}
	switch kind {
	case refusal:
		return apierrors.NewInternalError(fmt.Errorf("%s was refused", c))
	case timeout:
		i.over = true
		return fmt.Errorf("%s: %w", c, context.DeadlineExceeded)
	case killedBefore:
		panic(killed{c.String()})
	case conflicting:
		return conflict(c.object)
	case overtaken:
		i.overtake()
	}
	err := carryOut()
	if err == nil && c.writes {
		i.writes++
		i.wrote()
	}
	switch kind {
	case lostAnswer:
		return apierrors.NewInternalError(fmt.Errorf("the answer to %s was lost", c))
	case killedAfter:
		panic(killed{c.String()})
	}
	return err
}

// objectName is the kind and the name, for logs.
func objectName(o any) string {
	kind := strings.TrimPrefix(fmt.Sprintf("%T", o), "*")
	kind = kind[strings.LastIndex(kind, ".")+1:]
	if named, ok := o.(interface{ GetName() string }); ok && !reflect.ValueOf(named).IsNil() {
		return kind + " " + named.GetName()
	}
	if named, ok := o.(interface{ GetName() *string }); ok && named.GetName() != nil {
		return kind + " " + *named.GetName()
	}
	return kind
}

// client returns a client of the API server that this injector stands before.
func (i *injector) client(inner client.WithWatch) client.WithWatch {
	return interceptor.NewClient(inner, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, k client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			return i.do(call{"get", objectName(o) + k.Name, false}, func() error { return c.Get(ctx, k, o, opts...) })
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			return i.do(call{"list", objectName(list), false}, func() error { return c.List(ctx, list, opts...) })
		},
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			return i.do(call{"create", objectName(o), true}, func() error { return c.Create(ctx, o, opts...) })
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			return i.do(call{"update", objectName(o), true}, func() error { return c.Update(ctx, o, opts...) })
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			return i.do(call{"patch", objectName(o), true}, func() error { return c.Patch(ctx, o, p, opts...) })
		},
		Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			return i.do(call{"apply", objectName(o), true}, func() error { return c.Apply(ctx, o, opts...) })
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			return i.do(call{"delete", objectName(o), true}, func() error { return c.Delete(ctx, o, opts...) })
		},
		SubResourceApply: func(ctx context.Context, c client.Client, name string, o runtime.ApplyConfiguration, opts ...client.SubResourceApplyOption) error {
			return i.do(call{"apply " + name, objectName(o), true}, func() error { return c.SubResource(name).Apply(ctx, o, opts...) })
		},
		DeleteAllOf: func(context.Context, client.WithWatch, client.Object, ...client.DeleteAllOfOption) error {
			return errNotCounted
		},
		SubResourceUpdate: func(context.Context, client.Client, string, client.Object, ...client.SubResourceUpdateOption) error {
			return errNotCounted
		},
		SubResourcePatch: func(context.Context, client.Client, string, client.Object, client.Patch, ...client.SubResourcePatchOption) error {
			return errNotCounted
		},
	})
}

// errNotCounted is for verbs that the controller does not use, so that none of them escapes the faults.
var errNotCounted = errors.New("the harness does not know this verb: add it to the injector")

// stale returns a client that reads what there was before the last write: a cache that is behind, or a reader that should
// be fresh and is not.
func (w *world) stale(inner client.WithWatch) client.WithWatch {
	before := func() client.WithWatch {
		return newMemory(w.now, w.history[max(0, len(w.history)-2)].objects()...)
	}
	return interceptor.NewClient(inner, interceptor.Funcs{
		Get: func(ctx context.Context, _ client.WithWatch, k client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			return before().Get(ctx, k, o, opts...)
		},
		List: func(ctx context.Context, _ client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			return before().List(ctx, list, opts...)
		},
	})
}
