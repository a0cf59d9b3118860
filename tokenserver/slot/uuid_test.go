package slot

import (
	"bytes"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

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
