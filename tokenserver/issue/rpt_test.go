package issue

import (
	"errors"
	"fmt"
	"testing"

	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/permission"
)

// TestALongRPTIsNotMadeFirst has more granted than a token can hold. No id is drawn for it, which is where making it begins.
func TestALongRPTIsNotMadeFirst(t *testing.T) {
	i, _ := issuer(t)
	i.Random = noRandom{}
	p := &Permissions{}
	for n := range 1000 {
		r := fixture.Resource(t, "registry.example.com", "orders", fmt.Sprintf("o%04d", n), "order", nil, "read")
		p.Granted = append(p.Granted, permission.Granted{Ask: &permission.Ask{Resource: r, Scopes: r.Scopes}, Scopes: r.Scopes})
	}
	if _, err := i.RPT(request(t, world(t), alice()), p, Form{}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a token of 1,000 permissions: %v", err)
	}
	p.Last(1)
	if _, err := i.RPT(request(t, world(t), alice()), p, Form{}); !errors.Is(err, errNoRandom) {
		t.Errorf("one of the last one is made: %v", err)
	}
}

var errNoRandom = errors.New("an id is drawn")

type noRandom struct{}

func (noRandom) Read([]byte) (int, error) { return 0, errNoRandom }
