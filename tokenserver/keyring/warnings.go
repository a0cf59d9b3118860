package keyring

import (
	"crypto/ecdsa"
	"fmt"
	"slices"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// Warnings says what will go wrong unless a person changes something, though all is in force now. It takes the
// SigningKey's name and namespace for the commands that it tells.
func (p Params) Warnings(now time.Time, name, namespace string, ring Ring, facts Facts) []Problem {
	var found []Problem
	for _, k := range ring.Keys {
		if warning := p.miscomputed(k); warning != nil && !slices.Contains(found, *warning) {
			found = append(found, *warning)
		}
	}
	if warning := p.signUntilNear(now, name, namespace, ring, facts); warning != nil {
		found = append(found, *warning)
	}
	return found
}

// miscomputed warns of keys whose kid distribution 3 computes otherwise than RFC 7638 tells. It does so for keys that it
// has from certificates (rootcertbundle) only: of a JWKS it takes the kid as it is written, and with x5c it looks at none.
// Versions before 3.1.0 compute the same thumbprint for all EC keys of a curve; later ones leave out the zero bytes that a
// coordinate begins with.
//
// That 3.0 is wrong about ES256 and ES384, too, is no warning: they are the usual choice, and most verifiers of KeyID have
// a JWKS. The documentation says it.
func (p Params) miscomputed(k Key) *Problem {
	public, is := k.Public.(*ecdsa.PublicKey)
	if !is || p.Identification != v1alpha1.KeyID || k.Format != v1alpha1.Thumbprint || !k.standby() && k.State != v1alpha1.KeyActive {
		return nil
	}
	message := ""
	switch {
	case leadingZero(public):
		message = fmt.Sprintf("key %q: a coordinate begins with a zero byte, which distribution 3.1 leaves out: "+
			"it computes another kid from a rootcertbundle; configure jwks there, or rotate the key", k.KeyID)
	case k.Algorithm == v1alpha1.ES512:
		message = "distribution before 3.1.0 computes one and the same kid for all ES512 keys that it has from a rootcertbundle; " +
			"configure jwks there, or use another algorithm"
	default:
		return nil
	}
	return &Problem{v1alpha1.ReasonKeyIDMiscomputed, message}
}

// leadingZero says whether a coordinate, written in the full size of the field, begins with a zero byte.
func leadingZero(public *ecdsa.PublicKey) bool {
	point, err := public.Bytes() // 4, x, y
	return err == nil && (point[1] == 0 || point[1+len(point)/2] == 0)
}

// signUntilNear warns where the key that signs soon may not any more and its successor waits for a person.
func (p Params) signUntilNear(now time.Time, name, namespace string, ring Ring, facts Facts) *Problem {
	near := p.WarnTime(ring)
	if near.IsZero() || now.Before(near) {
		return nil
	}
	active, _ := ring.Active()
	standby, _ := ring.Standby()
	what := ""
	switch {
	case p.Hold:
		what = "rotations wait until the spec does not contradict itself any more"
	case !p.CanActivate(now, facts):
		what = "its successor needs a certificate authority that lasts longer"
	case p.Mode != v1alpha1.RotationManual || standby.named(p.Activate):
		return nil // it comes by itself
	case standby.State != v1alpha1.KeyPublished:
		what = "in mode Manual its successor waits for you, and is not public yet"
	default:
		what = fmt.Sprintf("in mode Manual its successor waits for you: kubectl annotate signingkey %s -n %s --overwrite %s=%s",
			name, namespace, v1alpha1.AnnotationActivate, standby.KeyID)
	}
	return &Problem{v1alpha1.ReasonSignUntilNear, fmt.Sprintf("key %q may sign until %s only; %s",
		active.KeyID, active.SignUntil.UTC().Format(time.RFC3339), what)}
}

// WarnTime is from when on a person should hear that the end of the key that signs comes near; zero if it has none. There
// must be time to act: a quarter of the interval, and at least as long as tokens live.
func (p Params) WarnTime(ring Ring) time.Time {
	active, signs := ring.Active()
	if !signs || active.SignUntil.IsZero() {
		return time.Time{}
	}
	return active.SignUntil.Add(-max(p.Interval/4, p.TokenLifetime))
}
