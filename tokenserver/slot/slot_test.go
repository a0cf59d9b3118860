package slot

import (
	"bytes"
	"crypto/rand"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// What ids have behind the place.
const (
	bits = "abcdefghijklmnopqrstuvwxyz"
	tail = "a-8bcd-9123-0123456789ab"
)

func TestParse(t *testing.T) {
	cases := map[string]struct {
		reason, text string
		want         ID
		ok           bool
	}{
		"an id":                              {"place and random bits", "12-345-" + bits, ID{12, 345, bits}, true},
		"the first place":                    {"lists and places begin at 0", "0-0-" + bits, ID{0, 0, bits}, true},
		"the last place":                     {"five digits, and 2^17", "99999-131071-" + bits, ID{99999, 131071, bits}, true},
		"a place past the last":              {"no list is longer", "0-131072-" + bits, ID{}, false},
		"a list past the last":               {"there are not so many", "100000-0-" + bits, ID{}, false},
		"a leading zero":                     {"an id has one spelling, as a place has one name", "00-1-" + bits, ID{}, false},
		"a leading zero of the place":        {"as above", "0-01-" + bits, ID{}, false},
		"a sign":                             {"as above", "+1-1-" + bits, ID{}, false},
		"another token's id":                 {"it has no record", bits, ID{}, false},
		"upper case":                         {"as above", "0-1-" + strings.ToUpper(bits), ID{}, false},
		"too few random bits":                {"it would be guessed", "0-1-" + bits[1:], ID{}, false},
		"too many":                           {"nobody draws them", "0-1-a" + bits, ID{}, false},
		"a fourth part":                      {"dashes are no random bits", "0-1-" + bits[:24] + "-a", ID{}, false},
		"nothing":                            {"it is none", "", ID{}, false},
		"dashes only":                        {"it is none", "--", ID{}, false},
		"a number of a thousand digits":      {"it is not even read", strings.Repeat("1", 1000) + "-1-" + bits, ID{}, false},
		"a UUID":                             {"five digits of the list, and six of the place", "00012000-345" + tail, ID{12, 345, tail}, true},
		"a UUID of the first place":          {"lists and places begin at 0", "00000000-000" + tail, ID{0, 0, tail}, true},
		"a UUID of the last place":           {"five digits, and 2^17", "99999131-071" + tail, ID{99999, 131071, tail}, true},
		"a UUID of a place past the last":    {"no list is longer", "00000131-072" + tail, ID{}, false},
		"a UUID that is random":              {"it is another token's", "00012000-345a-4bcd-9123-0123456789ab", ID{}, false},
		"a UUID of another variant":          {"as above", "00012000-345a-8bcd-c123-0123456789ab", ID{}, false},
		"a UUID whose list is no number":     {"as above", "0001a000-345" + tail, ID{}, false},
		"a UUID whose place is no number":    {"as above", "00012000-34f" + tail, ID{}, false},
		"a UUID in upper case":               {"an id has one spelling", "00012000-345A-8BCD-9123-0123456789AB", ID{}, false},
		"a UUID with dashes in other places": {"as above", "00012000-3458abcd-91230-0123456789a", ID{}, false},
		"an id as long as a UUID":            {"its first dash is further left", "127-10000-" + bits, ID{127, 10000, bits}, true},
		"an id with the dash of a UUID":      {"it is none", "12345678-" + bits + "a", ID{}, false},
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

func TestDrawReadsBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		lists := rapid.IntRange(1, MaxLists).Draw(rt, "lists")
		random := rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(rt, "random")
		id, err := Draw(bytes.NewReader(random), lists)
		if err != nil {
			rt.Fatal(err)
		}
		if id.List < 0 || id.List >= lists || id.Index < 0 || id.Index >= Size {
			rt.Fatalf("%s is in none of %d lists", id, lists)
		}
		back, ok := Parse(id.String())
		if !ok || back != id || "token-"+id.String() != id.Name()+"-"+id.Random {
			rt.Fatalf("%s is read as %+v (%t), and its record is %s", id, back, ok, id.Name())
		}
	})
}

func TestDrawRefuses(t *testing.T) {
	for name, draw := range map[string]func(io.Reader, int) (ID, error){"an id": Draw, "a UUID": DrawUUID} {
		for _, lists := range []int{-1, 0, MaxLists + 1} {
			if _, err := draw(rand.Reader, lists); err == nil {
				t.Errorf("%s is drawn from %d lists", name, lists)
			}
		}
		for n := range 32 {
			if _, err := draw(bytes.NewReader(make([]byte, n)), 1); err == nil {
				t.Errorf("%s is drawn from %d random bytes", name, n)
			}
		}
	}
}

// TestAFreePlaceIsFoundSoon: with the lists that Lists asks for, at most one draw of sixteen meets a place that is taken.
func TestAFreePlaceIsFoundSoon(t *testing.T) {
	for records, want := range map[int]int{-1: 1, 0: 1, 8191: 1, 8192: 2, 100_000: 13, 1 << 40: MaxLists} {
		if got := Lists(records); got != want {
			t.Errorf("%d records: got %d lists, want %d", records, got, want)
		}
	}
	for records := 0; records < 1_000_000; records += 997 {
		if taken := float64(records) / float64(Lists(records)*Size); taken > 1.0/16 {
			t.Fatalf("%d records fill %f of their lists", records, taken)
		}
	}
}

// FuzzParse: what is read is written the same, so that no two ids are one.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"", "0-0-" + bits, "99999-131071-" + bits, "1-2-3", "00-0-" + bits, "-1-0-" + bits, bits, "00012000-345" + tail} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if id, ok := Parse(text); ok && id.String() != text {
			t.Errorf("%q is read as %q", text, id)
		}
	})
}
