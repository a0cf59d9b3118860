package slot

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"
)

const tail = "a-8bcd-9123-0123456789ab"

func TestParseUUID(t *testing.T) {
	cases := map[string]struct {
		reason, text string
		want         ID
		ok           bool
	}{
		"an id":                       {"five digits of the list, and six of the place", "00012000-345" + tail, ID{12, 345, tail}, true},
		"the first place":             {"lists and places begin at 0", "00000000-000" + tail, ID{0, 0, tail}, true},
		"the last place":              {"five digits, and 2^17", "99999131-071" + tail, ID{99999, 131071, tail}, true},
		"a place past the last":       {"no list is longer", "00000131-072" + tail, ID{}, false},
		"a UUID that is random":       {"it is another token's", "00012000-345a-4bcd-9123-0123456789ab", ID{}, false},
		"of another variant":          {"as above", "00012000-345a-8bcd-c123-0123456789ab", ID{}, false},
		"a list that is no number":    {"as above", "0001a000-345" + tail, ID{}, false},
		"a place that is no number":   {"as above", "00012000-34f" + tail, ID{}, false},
		"upper case":                  {"an id has one spelling", "00012000-345A-8BCD-9123-0123456789AB", ID{}, false},
		"dashes in other places":      {"as above", "00012000-3458abcd-91230-0123456789a", ID{}, false},
		"an id of the same length":    {"its first dash is further left", "127-10000-" + bits, ID{127, 10000, bits}, true},
		"an id with a dash like that": {"it is none", "12345678-" + bits + "a", ID{}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, ok := Parse(c.text)
			if diff := cmp.Diff(c.want, got); diff != "" || ok != c.ok {
				t.Errorf("%s: %t, want %t (-want +got):\n%s", c.reason, ok, c.ok, diff)
			}
		})
	}
}

func TestDrawUUIDReadsBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		lists := rapid.IntRange(1, MaxLists).Draw(rt, "lists")
		random := rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(rt, "random")
		id, err := DrawUUID(bytes.NewReader(random), lists)
		if err != nil {
			rt.Fatal(err)
		}
		same, err := Draw(bytes.NewReader(random), lists)
		if err != nil {
			rt.Fatal(err)
		}
		if id.Name() != same.Name() {
			rt.Fatalf("the place of %s is another than that of %s", id, same)
		}
		u, err := uuid.Parse(id.String())
		if err != nil || u.Version() != 8 || u.Variant() != uuid.RFC4122 {
			rt.Fatalf("%s is a UUID of version %d (%v)", id, u.Version(), err)
		}
		if back, ok := Parse(id.String()); !ok || back != id {
			rt.Fatalf("%s is read as %+v (%t)", id, back, ok)
		}
	})
}

func TestDrawUUIDRefuses(t *testing.T) {
	if _, err := DrawUUID(bytes.NewReader(make([]byte, 32)), 0); err == nil {
		t.Error("it draws from no list")
	}
	for n := range 32 {
		if _, err := DrawUUID(bytes.NewReader(make([]byte, n)), 1); err == nil {
			t.Errorf("it draws from %d random bytes", n)
		}
	}
}
