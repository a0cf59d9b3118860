package keyring

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// The entries of a key set's Secret.
const (
	// ringEntry has all that is public, and the times.
	ringEntry = "keyring.json"
	// privatePrefix begins the entries that have private key material; a thumbprint and privateSuffix follow.
	privatePrefix = "private-"
	privateSuffix = ".pem"
)

// Bounds of what is decoded; a Secret has at most 1 MiB.
const (
	maxRingEntry = 768 << 10
	maxKeys      = 256
	maxChain     = 4
	ringVersion  = 1
)

type ringJSON struct {
	Version             int           `json:"version"`
	Generation          int64         `json:"generation"`
	LastHandledRotate   string        `json:"lastHandledRotate,omitempty"`
	LastHandledRotateCA string        `json:"lastHandledRotateCA,omitempty"`
	Authorities         []Trust       `json:"authorities,omitempty"`
	Publications        []Publication `json:"publications,omitempty"`
	Keys                []keyJSON     `json:"keys"`
}

// Encode returns the data of the Secret that holds the ring. Two keys that sign are not written: nobody would read them.
func Encode(ring Ring) (map[string][]byte, error) {
	if err := oneOfEach(ring); err != nil {
		return nil, fmt.Errorf("encode the key set: %w", err)
	}
	out := ringJSON{
		Version: ringVersion, Generation: ring.Generation, LastHandledRotate: ring.LastHandledRotate,
		LastHandledRotateCA: ring.LastHandledRotateCA, Authorities: ring.Authorities, Publications: ring.Publications, Keys: []keyJSON{},
	}
	data := map[string][]byte{}
	for _, k := range ring.Keys {
		entry, err := encodeKey(k)
		if err != nil {
			return nil, fmt.Errorf("encode key %s: %w", k.Thumbprint, err)
		}
		out.Keys = append(out.Keys, entry)
		if k.Private == nil {
			continue
		}
		if data[privateEntry(k.Thumbprint)], err = encodePrivate(k.Private); err != nil {
			return nil, fmt.Errorf("encode key %s: %w", k.Thumbprint, err)
		}
	}
	text, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("encode the key set: %w", err)
	}
	if len(text) > maxRingEntry || len(out.Keys) > maxKeys {
		return nil, fmt.Errorf("encode the key set: %d keys in %d bytes are too many", len(out.Keys), len(text))
	}
	data[ringEntry] = text
	return data, nil
}

func privateEntry(thumbprint string) string { return privatePrefix + thumbprint + privateSuffix }

// Decode reads the data of a Secret and believes none of it: ids are computed again, private halves must match, states
// must make sense together. It fails as a whole, because a set of which a part is missing could lose a key.
// The errors quote nothing of the Secret but thumbprints and entry names.
func Decode(data map[string][]byte) (Ring, error) {
	text, ok := data[ringEntry]
	if !ok {
		return Ring{}, fmt.Errorf("entry %s is missing", ringEntry)
	}
	in, err := decodeRingJSON(text)
	if err != nil {
		return Ring{}, fmt.Errorf("entry %s: %w", ringEntry, err)
	}
	ring := Ring{
		Generation: in.Generation, LastHandledRotate: in.LastHandledRotate,
		LastHandledRotateCA: in.LastHandledRotateCA, Authorities: in.Authorities, Publications: in.Publications,
	}
	for i, entry := range in.Keys {
		k, err := decodeKey(entry)
		if err != nil {
			return Ring{}, fmt.Errorf("key %d: %w", i, err)
		}
		if ring.index(k.Thumbprint) >= 0 {
			return Ring{}, fmt.Errorf("key %s is there twice", k.Thumbprint)
		}
		ring.Keys = append(ring.Keys, k)
	}
	if err := decodePrivates(&ring, data); err != nil {
		return Ring{}, err
	}
	return ring, consistent(ring)
}

func decodeRingJSON(text []byte) (ringJSON, error) {
	if len(text) > maxRingEntry {
		return ringJSON{}, fmt.Errorf("is longer than %d bytes", maxRingEntry)
	}
	var in ringJSON
	decoder := json.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&in); err != nil {
		return ringJSON{}, errors.New("is not the JSON of a key set")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return ringJSON{}, errors.New("has something after the key set")
	}
	switch {
	case in.Version != ringVersion:
		return ringJSON{}, fmt.Errorf("has version %d, not %d", in.Version, ringVersion)
	case in.Generation < 1:
		return ringJSON{}, errors.New("has no generation")
	case len(in.Keys) > maxKeys:
		return ringJSON{}, fmt.Errorf("has more than %d keys", maxKeys)
	case len(in.LastHandledRotate) > maxRequest, len(in.LastHandledRotateCA) > maxRequest:
		return ringJSON{}, errors.New("has a request that is too long")
	}
	return in, nil
}

// decodePrivates reads the private halves: every key that signs or will sign has one, no other has.
func decodePrivates(ring *Ring, data map[string][]byte) error {
	for name := range data {
		thumbprint, ok := strings.CutPrefix(name, privatePrefix)
		thumbprint, ends := strings.CutSuffix(thumbprint, privateSuffix)
		if name != ringEntry && (!ok || !ends || ring.index(thumbprint) < 0) {
			return errors.New("there is an entry that belongs to no key")
		}
	}
	for i := range ring.Keys {
		k := &ring.Keys[i]
		text, has := data[privateEntry(k.Thumbprint)]
		needs := k.standby() || k.State == v1alpha1.KeyActive
		if has != needs {
			return fmt.Errorf("key %s is %s: private half present %t, expected %t", k.Thumbprint, k.State, has, needs)
		}
		if !has {
			continue
		}
		private, err := decodePrivate(text)
		if err != nil {
			return fmt.Errorf("the private half of key %s: %w", k.Thumbprint, err)
		}
		if !samePublic(private.Public(), k.Public) {
			return fmt.Errorf("the private half of key %s belongs to another key", k.Thumbprint)
		}
		k.Private = private
	}
	return nil
}

// oneOfEach says that no more than one key signs, and no more than one is to sign next.
func oneOfEach(ring Ring) error {
	count := map[v1alpha1.KeyState]int{}
	for _, k := range ring.Keys {
		count[k.State]++
	}
	if count[v1alpha1.KeyActive] > 1 {
		return errors.New("more than one key is Active")
	}
	if count[v1alpha1.KeyPending]+count[v1alpha1.KeyPublished] > 1 {
		return errors.New("there is more than one standby")
	}
	return nil
}

// consistent says what is wrong with the ring as a whole.
func consistent(ring Ring) error {
	if err := oneOfEach(ring); err != nil {
		return err
	}
	return consistentTrust(ring.Authorities)
}
