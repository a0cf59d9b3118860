package policy

import (
	"fmt"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestTableOfManyKeys goes past the sizes at which a table takes another form, in edits of its own, and holds that each
// version stays what it was.
func TestTableOfManyKeys(t *testing.T) {
	key := func(i int) string { return fmt.Sprintf("key-%d", i) }
	const n = 3 * manyKeys
	var now table[int]
	var versions []table[int]
	for i := range n {
		now = now.clone()
		now.put(&edit{}, key(i), i)
		if i%97 == 0 {
			versions = append(versions, now)
		}
	}
	for i := range n {
		if i%3 == 0 {
			continue
		}
		now = now.clone()
		now.remove(&edit{}, key(i))
		now.remove(&edit{}, "none")
	}
	for v, version := range versions {
		if got, want := count(&version), v*97+1; got != want {
			t.Fatalf("version %d has %d keys, want %d", v, got, want)
		}
		if got, found := version.get(key(v * 97)); !found || got != v*97 {
			t.Fatalf("version %d lacks its last key", v)
		}
		if _, found := version.get(key(v*97 + 1)); found {
			t.Fatalf("version %d has a later key", v)
		}
	}
	for i := range n {
		if got, found := now.get(key(i)); found != (i%3 == 0) || found && got != i {
			t.Fatalf("key %d: %d, %v", i, got, found)
		}
	}
	if got := count(&now); got != n/3 {
		t.Fatalf("%d keys, want %d", got, n/3)
	}
}

func count(of *table[int]) (n int) {
	for range of.all {
		n++
	}
	return n
}

// TestTableIsAMap compares tables with Go's maps, where keys come and go in edits of several steps, and every version that
// there was is looked at in the end.
func TestTableIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var now table[int]
		want := map[string]int{}
		type version struct {
			table table[int]
			want  map[string]int
		}
		var versions []version
		keys := rapid.SampledFrom([]int{4, 30, 3 * manyKeys / 2}).Draw(t, "keys")
		for range rapid.IntRange(1, 6).Draw(t, "edits") {
			now = now.clone()
			e := &edit{}
			seed := rapid.IntRange(0, 1<<20).Draw(t, "seed")
			for i := range rapid.IntRange(0, 2*keys).Draw(t, "steps") {
				n := (seed + i*i*7919) % keys
				if key := fmt.Sprint(n); (seed+i)%3 == 0 {
					now.remove(e, key)
					delete(want, key)
				} else {
					now.put(e, key, i)
					want[key] = i
				}
			}
			versions = append(versions, version{now, maps.Clone(want)})
		}
		for i, v := range versions {
			if diff := cmp.Diff(v.want, maps.Collect(v.table.all)); diff != "" {
				t.Fatalf("version %d of %d (-want +got):\n%s", i, len(versions), diff)
			}
			for n := range keys {
				got, found := v.table.get(fmt.Sprint(n))
				value, there := v.want[fmt.Sprint(n)]
				if found != there || got != value {
					t.Fatalf("version %d: %d is %d, %v, want %d, %v", i, n, got, found, value, there)
				}
			}
			if v.table.empty() != (len(v.want) == 0) {
				t.Fatalf("version %d says that it is empty: %v", i, v.table.empty())
			}
		}
	})
}

// TestTableForgets holds that a table neither grows by keys that come and go, nor stays when the last has gone.
func TestTableForgets(t *testing.T) {
	var now table[int]
	put := func(key string) {
		now = now.clone()
		now.put(&edit{}, key, 1)
	}
	remove := func(key string) {
		now = now.clone()
		now.remove(&edit{}, key)
	}
	for i := range 2 * fewKeys {
		put(fmt.Sprint(i))
	}
	for i := range 1000 {
		put(fmt.Sprint("new-", i))
		remove(fmt.Sprint("new-", i))
	}
	if got := len(now.rest.shares[0].tags); got > 8*fewKeys {
		t.Errorf("%d places for %d keys", got, 2*fewKeys)
	}
	for i := range 2 * fewKeys {
		remove(fmt.Sprint(i))
	}
	if !now.empty() {
		t.Error("the last key has gone, and the table is not empty")
	}
}

func TestNoTagLooksLikeAFreePlace(t *testing.T) {
	if tagOf(1<<40) == 0 {
		t.Error("a key whose hash ends with zeros would not be found")
	}
}
