package audit

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func sameAsLibrary(t *testing.T, r *Record) {
	t.Helper()
	want, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want)+"\n", string(r.appendLine(nil))); diff != "" {
		t.Errorf("(-encoding/json +appendLine):\n%s", diff)
	}
}

// TestNoFieldIsForgotten fills each field of a record in turn, also one that somebody adds later.
func TestNoFieldIsForgotten(t *testing.T) {
	lists := func() Record { return Record{Requested: []string{}, Granted: []string{}} }
	fields := reflect.TypeFor[Record]()
	for i := range fields.NumField() {
		t.Run(fields.Field(i).Name, func(t *testing.T) {
			r := lists()
			value := reflect.ValueOf(&r).Elem().Field(i)
			switch value.Interface().(type) {
			case string:
				value.SetString("x")
			case int:
				value.SetInt(7)
			case time.Time:
				value.Set(reflect.ValueOf(time.Unix(1_800_000_000, 123_000_000).UTC()))
			case []string:
				value.Set(reflect.ValueOf([]string{"a", "b"}))
			case []Why:
				value.Set(reflect.ValueOf([]Why{{"repository:a", "pull", "Allow", "ClusterAccessPolicy/a", 1}, {Rule: 2}}))
			case []Failed:
				value.Set(reflect.ValueOf([]Failed{{"ClusterAccessPolicy/a", "error"}, {Reason: "budget"}}))
			default:
				t.Fatalf("a field of type %s must be encoded", value.Type())
			}
			sameAsLibrary(t, &r)
		})
	}
}

// FuzzAppendLine holds that a line says what the record says, whatever clients put into it.
func FuzzAppendLine(f *testing.F) {
	f.Add("alice", "repository:a/b:pull", "docker", "deny", int64(1_800_000_000))
	f.Add("\"}\n{", "\xff", "\u2028", "<&>", int64(0))
	f.Fuzz(func(t *testing.T, subject, scope, client, policy string, at int64) {
		when := time.Unix(at%253_000_000_000, at%1_000_000_000).UTC()
		if when.Year() < 0 {
			return // encoding/json refuses it
		}
		sameAsLibrary(t, &Record{
			Time: when, Subject: subject, Requested: []string{scope, client}, Granted: []string{scope}, ClientID: client, Account: policy,
			Why: []Why{{Scope: scope, Policy: policy, Action: subject}}, Expires: when, Error: client, KeyID: scope,
			Failed: []Failed{{Policy: policy, Reason: scope}},
		})
	})
}
