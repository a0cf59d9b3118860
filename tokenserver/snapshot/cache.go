package snapshot

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"reflect"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// signerID is all that a signer is made of.
type signerID struct {
	thumbprint, keyID string
	algorithm         v1alpha1.Algorithm
	how               v1alpha1.KeyIdentification
	signUntil         int64
	lifetime          time.Duration
	chain             [sha256.Size]byte
}

// tested is a signer, or why its key cannot be used.
type tested struct {
	signer *token.Signer
	err    error
}

// signers holds the signers of this build and of the one before: testing a key signs and verifies, which for RSA takes
// milliseconds.
type signers struct {
	before, now map[signerID]tested
}

func (s *signers) get(key keyring.Key, how v1alpha1.KeyIdentification) (*token.Signer, error) {
	how = cmp.Or(how, v1alpha1.X509Chain)
	id := signerID{
		thumbprint: key.Thumbprint, keyID: key.KeyID, algorithm: key.Algorithm, how: how,
		signUntil: key.SignUntil.UnixNano(), lifetime: key.TokenLifetime, chain: digest(key.Chain),
	}
	if known, ok := s.now[id]; ok {
		return known.signer, known.err
	}
	known, ok := s.before[id]
	if !ok {
		known.signer, known.err = token.NewSigner(key, how)
		if known.err != nil {
			known.signer = nil
		}
	}
	s.now[id] = known
	return known.signer, known.err
}

// digest tells chains apart.
func digest(chain [][]byte) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, der := range chain {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(der)))
		_, _ = h.Write(size[:])
		_, _ = h.Write(der)
	}
	h.Sum(sum[:0])
	return sum
}

// resolved is an Admission and what it was resolved from.
type resolved struct {
	spec      v1alpha1.AdmittedNamespaces
	admission Admission
}

// admission resolves the namespaces of a SigningKey, or returns what it resolved before if nothing has changed.
func (b *Builder) admission(key *v1alpha1.SigningKey) Admission {
	known, ok := b.admissions[key.Name]
	if ok && reflect.DeepEqual(known.spec, key.Spec.Namespaces) {
		return known.admission
	}
	known = resolved{spec: *key.Spec.Namespaces.DeepCopy(), admission: b.namespaces.admit(key.Spec.Namespaces)}
	b.admissions[key.Name] = known
	return known.admission
}

// begin makes ready for a build, and end forgets what the build did not use.
func (b *Builder) begin(namespaces *Namespaces) {
	if b.namespaces != namespaces || b.admissions == nil {
		b.namespaces, b.admissions = namespaces, map[string]resolved{}
	}
	b.signers.now = map[signerID]tested{}
}

func (b *Builder) end() { b.signers.before = b.signers.now }
