package keyring

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// Limits are what the installation, not the SigningKey, decides.
type Limits struct {
	// MaxStaleness is how old a server's view may be while it still signs: what is called L in the documentation.
	MaxStaleness time.Duration
	// ClockSkew is by how much two clocks may differ.
	ClockSkew time.Duration
	// JWKSMaxAge is how long verifiers may keep a JWKS.
	JWKSMaxAge time.Duration
	// TestBounds lets the annotation tokenwright.dev/test-interval set intervals of seconds, in which tokens that live for
	// a minute see many rotations. For tests only.
	TestBounds bool
}

// Params is a compiled SigningKey: all that Plan must know.
type Params struct {
	Limits
	Algorithm      v1alpha1.Algorithm
	RSAKeySize     int
	Format         v1alpha1.KeyIDFormat
	Identification v1alpha1.KeyIdentification
	Mode           v1alpha1.RotationMode
	Interval       time.Duration
	PublishAhead   time.Duration
	TokenLifetime  time.Duration
	// Revoked are key ids in any format.
	Revoked []string
	// Rotate and Activate are the values of the annotations of these names.
	Rotate, Activate string
	// RotateCA and ConfirmCA are the values of the annotations tokenwright.dev/rotate-ca and tokenwright.dev/confirm-ca.
	RotateCA, ConfirmCA string
	// Hold stops rotation: the spec contradicts itself. Publication, removal, revocation and the first key go on.
	Hold bool
	// Deleting ends all signing: the SigningKey is being deleted.
	Deleting bool
	// Recorded says until when tokens without an expiry may be verified with a key, by its thumbprint: the latest end of
	// their records.
	Recorded map[string]time.Time
}

// Problem is why a spec cannot be followed. Reason is one of the API's.
type Problem struct{ Reason, Message string }

// maxRequest is the longest value of a request annotation that is looked at, in bytes: what status can echo.
const maxRequest = 256

// Compile reads the spec and the request annotations. The parameters can be planned with even if there are problems:
// they then hold rotations back.
func Compile(key *v1alpha1.SigningKey, limits Limits) (Params, []Problem) {
	spec := key.Spec
	p := Params{
		Limits: limits, Algorithm: spec.Algorithm, RSAKeySize: int(spec.RSAKeySize), Format: spec.KeyIDFormat,
		Identification: spec.KeyIdentification, Mode: spec.Rotation.Mode, Revoked: spec.RevokedKeyIDs,
		Rotate: request(key.Annotations[v1alpha1.AnnotationRotate]), Activate: key.Annotations[v1alpha1.AnnotationActivate],
		Deleting:  !key.DeletionTimestamp.IsZero(),
		RotateCA:  request(key.Annotations[v1alpha1.AnnotationRotateCA]),
		ConfirmCA: request(key.Annotations[v1alpha1.AnnotationConfirmCA]),
	}
	var problems []Problem
	duration := func(into *time.Duration, field string, value v1alpha1.Duration, otherwise time.Duration) {
		*into = otherwise
		if value == "" {
			return
		}
		d, err := value.Parse()
		if err != nil {
			problems = append(problems, Problem{v1alpha1.ReasonInvalidSpec, fmt.Sprintf("%s: %v", field, err)})
			return
		}
		*into = d
	}
	duration(&p.Interval, "spec.rotation.interval", spec.Rotation.Interval, 720*time.Hour)
	duration(&p.PublishAhead, "spec.rotation.publishAhead", spec.Rotation.PublishAhead, 2*time.Hour)
	duration(&p.TokenLifetime, "spec.tokenLifetime", spec.TokenLifetime, 15*time.Minute)
	p.defaults()
	if text, given := key.Annotations[v1alpha1.AnnotationTestInterval]; given && limits.TestBounds {
		if d, err := time.ParseDuration(text); err == nil {
			p.Interval = d
		}
	}
	for _, check := range []func(Params) *Problem{intervalInBounds, lifetimeInBounds, lifetimeWithinInterval, aheadWithinInterval, aheadCoversCaches, keysInBounds} {
		if problem := check(p); problem != nil {
			problems = append(problems, *problem)
		}
	}
	p.Hold = len(problems) > 0
	p.Interval = max(p.Interval, p.leastInterval()) // what follows divides by it
	return p, problems
}

// defaults fills what the schema fills, for objects that did not pass through it.
func (p *Params) defaults() {
	if p.Algorithm == "" {
		p.Algorithm = v1alpha1.ES256
	}
	if p.Format == "" {
		p.Format = v1alpha1.Thumbprint
	}
	if p.Identification == "" {
		p.Identification = v1alpha1.X509Chain
	}
	if p.Mode == "" {
		p.Mode = v1alpha1.RotationAutomatic
	}
	if p.RSAKeySize == 0 {
		p.RSAKeySize = DefaultRSAKeySize
	}
}

func (p Params) leastInterval() time.Duration {
	if p.TestBounds {
		return time.Second
	}
	return time.Minute
}

func intervalInBounds(p Params) *Problem {
	if p.Interval < p.leastInterval() {
		return &Problem{v1alpha1.ReasonInvalidSpec, "spec.rotation.interval must be at least 1m"}
	}
	return nil
}

func lifetimeInBounds(p Params) *Problem {
	if p.TokenLifetime < time.Minute || p.TokenLifetime > 24*time.Hour {
		return &Problem{v1alpha1.ReasonInvalidSpec, "spec.tokenLifetime must be from 1m to 24h"}
	}
	return nil
}

func lifetimeWithinInterval(p Params) *Problem {
	if p.Mode != v1alpha1.RotationNever && p.TokenLifetime > p.Interval && !p.TestBounds {
		return &Problem{v1alpha1.ReasonInvalidSpec, "spec.tokenLifetime must not be longer than spec.rotation.interval"}
	}
	return nil
}

// aheadWithinInterval keeps rotation before signUntil: a standby that is ready later than its predecessor's second
// interval would leave a gap in which nothing signs.
func aheadWithinInterval(p Params) *Problem {
	if p.Mode != v1alpha1.RotationNever && p.PublishAhead+p.ClockSkew > p.Interval {
		return &Problem{v1alpha1.ReasonInvalidSpec, fmt.Sprintf(
			"spec.rotation.publishAhead and the clock skew of %s together must not be longer than spec.rotation.interval", p.ClockSkew)}
	}
	return nil
}

// aheadCoversCaches holds for verifiers that fetch the JWKS: they may have read it, from a stale replica, just before the
// key became public.
func aheadCoversCaches(p Params) *Problem {
	need := p.JWKSMaxAge + p.MaxStaleness + p.ClockSkew
	if p.Identification == v1alpha1.KeyID && p.PublishAhead < need {
		return &Problem{v1alpha1.ReasonPublishAheadTooShort, fmt.Sprintf(
			"spec.rotation.publishAhead must be at least %s with keyIdentification KeyID: verifiers may know a key only so long after it was published", need)}
	}
	return nil
}

// keysInBounds refuses what could fill the set until it cannot be written any more. The other half of the room is for the
// revoked, and for keys of an earlier spec.
func keysInBounds(p Params) *Problem {
	p.Interval = max(p.Interval, p.leastInterval())
	if bound := p.Bound(Ring{}); bound > maxKeys/2 {
		return &Problem{v1alpha1.ReasonInvalidSpec, fmt.Sprintf(
			"spec.rotation.interval is too short for spec.tokenLifetime and the staleness of %s: there could be %d keys, and more than %d are not allowed",
			p.MaxStaleness, bound, maxKeys/2)}
	}
	return nil
}

// request cuts the value at the end of a character: the ring and the status must give back what was put in.
func request(value string) string {
	value = strings.ToValidUTF8(value, "?")
	if len(value) <= maxRequest {
		return value
	}
	cut := maxRequest
	for !utf8.RuneStart(value[cut]) {
		cut--
	}
	return value[:cut]
}
