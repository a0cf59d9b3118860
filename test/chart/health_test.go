package chart

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	lua "github.com/yuin/gopher-lua"
)

// health is what Argo CD reads of what the script returns.
type health struct{ Status, Message string }

// withStatus is a SigningKey of generation 3 with the status.
func withStatus(status any) map[string]any {
	return map[string]any{
		"apiVersion": "tokenwright.dev/v1alpha1",
		"kind":       "SigningKey",
		"metadata":   map[string]any{"name": "registry", "generation": 3},
		"status":     status,
	}
}

func withConditions(observed int, conditions ...any) map[string]any {
	return withStatus(map[string]any{"observedGeneration": observed, "conditions": conditions})
}

func condition(kind, status, message string) map[string]any {
	return map[string]any{"type": kind, "status": status, "reason": "Any", "message": message}
}

// healthCase is an object, and what Argo CD shall say of it.
type healthCase struct {
	reason string
	object map[string]any
	want   health
}

func TestHealthInArgoCD(t *testing.T) {
	var (
		ready    = condition("Ready", "True", "Signs with key 1")
		notReady = condition("Ready", "False", "Waits for the second key")
		stalled  = condition("Stalled", "True", "The audience is taken")
		moving   = condition("Stalled", "False", "")
		waiting  = health{Status: "Progressing", Message: "Waiting for the manager"}
	)
	deleted := withConditions(3, ready)
	deleted["metadata"].(map[string]any)["deletionTimestamp"] = "2026-01-01T00:00:00Z"
	cases := map[string]healthCase{
		"ready": {
			reason: "the object does what its spec says",
			object: withConditions(3, ready),
			want:   health{Status: "Healthy", Message: "Signs with key 1"},
		},
		"ready and not stalled": {
			reason: "Stalled=False is no complaint",
			object: withConditions(3, moving, ready),
			want:   health{Status: "Healthy", Message: "Signs with key 1"},
		},
		"not ready": {
			reason: "Ready=False alone means that work is in progress",
			object: withConditions(3, notReady),
			want:   health{Status: "Progressing", Message: "Waits for the second key"},
		},
		"stalled": {
			reason: "a person has to help",
			object: withConditions(3, notReady, stalled),
			want:   health{Status: "Degraded", Message: "The audience is taken"},
		},
		"stalled before ready": {
			reason: "conditions have no order that means something",
			object: withConditions(3, stalled, notReady),
			want:   health{Status: "Degraded", Message: "The audience is taken"},
		},
		"stalled although ready": {
			reason: "the worse of two that contradict each other",
			object: withConditions(3, ready, stalled),
			want:   health{Status: "Degraded", Message: "The audience is taken"},
		},
		"ready by an older spec": {
			reason: "that the old spec worked says nothing of the new one",
			object: withConditions(2, ready),
			want:   waiting,
		},
		"stalled by an older spec": {
			reason: "the new spec may be the help",
			object: withConditions(2, stalled),
			want:   waiting,
		},
		"a status nobody has written": {
			reason: "observedGeneration is -1 until the manager has seen the object",
			object: withStatus(map[string]any{"observedGeneration": -1}),
			want:   waiting,
		},
		"no conditions": {
			reason: "the manager has seen it and has not judged",
			object: withConditions(3),
			want:   waiting,
		},
		"no status": {
			reason: "an object that was made a moment ago",
			object: withStatus(nil),
			want:   waiting,
		},
		"being deleted": {
			reason: "what it was does not matter any more",
			object: deleted,
			want:   health{Status: "Progressing", Message: "Being deleted"},
		},
	}
	for _, kind := range []string{"IssuedToken", "TokenRevocation"} {
		record := withStatus(nil)
		record["kind"] = kind
		cases[kind] = healthCase{"nothing has to be done about it", record, health{Status: "Healthy", Message: "In force"}}
	}
	decided, undecided := withConditions(3, ready), withConditions(3, notReady)
	fresh := withStatus(map[string]any{"observedGeneration": -1, "state": "Pending"})
	for _, request := range []map[string]any{decided, undecided, fresh} {
		request["kind"] = "PermissionRequest"
	}
	for sentence, tc := range map[string]healthCase{
		"a request that is decided": {"it is in force", decided, health{Status: "Healthy", Message: "Signs with key 1"}},
		"a request that waits":      {"no controller will ever help it on", undecided, health{Status: "Suspended", Message: "Waits for the second key"}},
		"a request that was just made": {
			"as above", fresh, health{Status: "Suspended", Message: "Waits for the owner of the resource"},
		},
	} {
		cases[sentence] = tc
	}
	script := string(read(t, "files/argocd/health.lua"))
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, healthOf(t, script, tc.object)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// healthOf runs the script as Argo CD does: with a deadline and without libraries for files or processes.
func healthOf(t *testing.T, script string, object map[string]any) health {
	t.Helper()
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	state.SetContext(ctx)
	for name, open := range map[string]lua.LGFunction{lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable} {
		if err := state.CallByParam(lua.P{Fn: state.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			t.Fatalf("open the library %q: %v", name, err)
		}
	}
	state.SetGlobal("obj", luaValue(t, object))
	if err := state.DoString(script); err != nil {
		t.Fatalf("run health.lua: %v", err)
	}
	table, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		t.Fatalf("health.lua returned %s, not a table", state.Get(-1).Type())
	}
	return health{Status: lua.LVAsString(table.RawGetString("status")), Message: lua.LVAsString(table.RawGetString("message"))}
}

// luaValue is a JSON value in Lua. Null is nil: the field is not there.
func luaValue(t *testing.T, value any) lua.LValue {
	t.Helper()
	switch v := value.(type) {
	case nil:
		return lua.LNil
	case string:
		return lua.LString(v)
	case int:
		return lua.LNumber(v)
	case []any:
		list := &lua.LTable{Metatable: lua.LNil}
		for _, item := range v {
			list.Append(luaValue(t, item))
		}
		return list
	case map[string]any:
		table := &lua.LTable{Metatable: lua.LNil}
		for key, field := range v {
			table.RawSetString(key, luaValue(t, field))
		}
		return table
	}
	t.Fatalf("no Lua value for a %T", value)
	return nil
}
