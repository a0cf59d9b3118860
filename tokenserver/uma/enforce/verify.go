package enforce

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	// Unlike the standard library's it takes aud and Aud for two names, and refuses a name that comes twice.
	"github.com/go-jose/go-jose/v4/json"
)

const (
	// typeRPT is the header typ of requesting party tokens: no other kind of token is taken for one.
	typeRPT = "rpt+jwt"
	// maxToken is the longest token in bytes that is looked at: twice what the server signs.
	maxToken = 16 << 10
)

// errInvalid says that a token is not one that lets anybody in. It has nothing of the token.
var errInvalid = errors.New("the token is not valid")

// verified is what is remembered of a token.
type verified struct {
	// token is nil for one that the server does not call active.
	token *Token
	// keys are those that verified it: with others it has to be verified anew.
	keys [sha256.Size]byte
}

// verify returns what a token says, if it is a requesting party token for this server and good now. An error other than errInvalid
// says that nobody can know.
func (e *Enforcer) verify(ctx context.Context, text string) (*Token, error) {
	if len(text) > maxToken {
		return nil, errInvalid
	}
	digest := sha256.Sum256([]byte(text))
	now := e.config.Clock()
	if known, found := e.tokens.get(digest, now); found {
		set, err := e.keys.get(ctx)
		switch {
		case err != nil:
			return nil, err
		case known.keys == set.digest && known.token == nil:
			return nil, errInvalid
		case known.keys == set.digest:
			return known.token, nil
		}
	}
	token, keys, err := e.signed(ctx, text, now)
	if err != nil {
		return nil, err
	}
	if e.config.Introspect {
		token, err = e.current(ctx, digest, text, token, keys, now)
		if err != nil {
			return nil, err
		}
	} else {
		e.remember(digest, token, keys, now)
	}
	if token == nil {
		return nil, errInvalid
	}
	return token, nil
}

// current is the token as the server still stands by it; nil, if it does not. Many requests with one token ask once.
func (e *Enforcer) current(
	ctx context.Context, digest [sha256.Size]byte, text string, token *Token, keys [sha256.Size]byte, now time.Time,
) (*Token, error) {
	return e.introspections.do(ctx, e.config.Timeout, digest, func(ctx context.Context) (*Token, error) {
		// Another request may have had the answer between this one's look and its turn.
		if known, found := e.tokens.get(digest, now); found && known.keys == keys {
			return known.token, nil
		}
		current, err := e.introspect(ctx, text, token, now)
		if err != nil {
			return nil, err
		}
		e.remember(digest, current, keys, now)
		return current, nil
	})
}

func (e *Enforcer) remember(digest [sha256.Size]byte, token *Token, keys [sha256.Size]byte, now time.Time) {
	until := now.Add(e.config.Cache.Lifetime)
	if token != nil && token.Expiry.Before(until) {
		until = token.Expiry
	}
	e.tokens.put(digest, verified{token, keys}, until)
}

// signed returns what a token says if a key of the server signed it. The kid only chooses among the server's keys: jwk, jku, x5c
// and x5u of the header are never looked at, and the algorithm is the key's own.
func (e *Enforcer) signed(ctx context.Context, text string, now time.Time) (*Token, [sha256.Size]byte, error) {
	head, ok := readHeader(text)
	if !ok || head.Type != typeRPT || head.KeyID == "" {
		return nil, [sha256.Size]byte{}, errInvalid
	}
	set, keys, err := e.keysOf(ctx, head.KeyID)
	if err != nil {
		return nil, [sha256.Size]byte{}, err
	}
	for n := range keys {
		if keys[n].Algorithm != head.Algorithm {
			continue
		}
		// Unknown values of crit are refused by the library.
		jws, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(keys[n].Algorithm)})
		if err != nil {
			continue
		}
		if payload, err := jws.Verify(keys[n].Key); err == nil {
			token, err := e.read(payload, now)
			return token, set.digest, err
		}
	}
	return nil, set.digest, errInvalid
}

type header struct {
	Algorithm string `json:"alg"`
	Type      string `json:"typ"`
	KeyID     string `json:"kid"`
}

// readHeader reads the header of a text that has the form of a token: nothing is fetched or computed for one that has not.
func readHeader(text string) (head header, ok bool) {
	if strings.Count(text, ".") != 2 || strings.ContainsAny(text, " \t\r\n") {
		return head, false
	}
	encoded, _, _ := strings.Cut(text, ".")
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	return head, err == nil && json.Unmarshal(decoded, &head) == nil
}

// claims are those that are looked at.
type claims struct {
	Issuer        string   `json:"iss"`
	Audience      audience `json:"aud"`
	Subject       string   `json:"sub"`
	ID            string   `json:"jti"`
	ClientID      string   `json:"client_id"`
	Expiry        int64    `json:"exp"`
	NotBefore     int64    `json:"nbf"`
	Authorization struct {
		Permissions []struct {
			ID     string   `json:"rsid"`
			Name   string   `json:"rsname"`
			Scopes []string `json:"scopes"`
		} `json:"permissions"`
	} `json:"authorization"`
	// Permissions are those of the older form (UMA 1).
	Permissions []struct {
		ID     string   `json:"resource_set_id"`
		Name   string   `json:"resource_set_name"`
		Scopes []string `json:"scopes"`
	} `json:"permissions"`
}

// audience is one or several (RFC 7519, 4.1.3).
type audience []string

// UnmarshalJSON implements json.Unmarshaler.
func (a *audience) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		*a = make(audience, 1)
		return json.Unmarshal(text, &(*a)[0])
	}
	return json.Unmarshal(text, (*[]string)(a))
}

// read holds what was signed to what is expected. There is no leeway: the server dates nbf back, and a token that has ended has ended.
func (e *Enforcer) read(payload []byte, now time.Time) (*Token, error) {
	var c claims
	if json.Unmarshal(payload, &c) != nil {
		return nil, errInvalid
	}
	seconds := now.Unix()
	if c.Issuer != e.config.Issuer || !slices.Contains(c.Audience, e.config.Audience) || c.ID == "" || seconds >= c.Expiry || seconds < c.NotBefore {
		return nil, errInvalid
	}
	token := &Token{ID: c.ID, Subject: c.Subject, ClientID: c.ClientID, Expiry: time.Unix(c.Expiry, 0), payload: payload}
	for _, p := range c.Authorization.Permissions {
		token.Permissions = append(token.Permissions, Permission{p.ID, p.Name, p.Scopes})
	}
	for _, p := range c.Permissions {
		token.Permissions = append(token.Permissions, Permission{p.ID, p.Name, p.Scopes})
	}
	return token, nil
}
