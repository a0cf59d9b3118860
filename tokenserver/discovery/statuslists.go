package discovery

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/httpx"
	"github.com/tokenwright/tokenwright/tokenserver/issue"
	"github.com/tokenwright/tokenwright/tokenserver/record"
	"github.com/tokenwright/tokenwright/tokenserver/slot"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
	"github.com/tokenwright/tokenwright/tokenserver/statuslist"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// NameStatusLists labels the endpoints in metrics and logs, and PathStatusLists is where the lists are.
const (
	NameStatusLists = "statuslists"
	PathStatusLists = statuslist.Path + "{list}"
)

const (
	// readEvery is how often the records are read at most, and renewAfter when a list is signed anew that says the same.
	readEvery  = time.Second
	renewAfter = 30 * time.Second
	// listTTL is how long a verifier may keep a list, listLifetime when it must not go by it any more, and listMaxAge how long
	// what stands between may keep it.
	listTTL      = time.Minute
	listLifetime = 5 * time.Minute
	listMaxAge   = 15 * time.Second
	// mostLists bounds the memory: a list takes some 50 KiB at most.
	mostLists = 128
)

// StatusLists answers with Token Status Lists: which of the recorded access tokens are good. All fields are required.
//
// A place of a list is VALID only for a live record of an access token. All else is INVALID: a token whose record was
// collected must not look good. A list says nothing of policy, and nothing of who a token is from.
type StatusLists struct {
	Snapshots *snapshot.Holder
	Records   *record.Index
	// Issuer says whether anything may be signed now, and names the lists.
	Issuer *issue.Issuer
	// Current says whether the server would have heard of a revocation; nil: it always would. A list of one that would not could
	// say VALID of a token that was taken back.
	Current func() bool

	mu sync.Mutex
	// pass counts how often the records were read, and readAt is when they were last.
	pass   uint64
	readAt time.Time
	// lists is how many there are, and valid the places of live access tokens in each.
	lists int
	valid map[int][]int
	kept  map[int]*keptList
}

var errNotCurrent = errors.New("the API server is away, and with it what was revoked since")

// keptList is a signed list.
type keptList struct {
	list     *statuslist.List
	pass     uint64
	signer   *token.Signer
	signedAt time.Time
	text     []byte
	etag     string
}

// Handle has the form of httpx.Endpoint's.
func (s *StatusLists) Handle(w http.ResponseWriter, r *http.Request, x *httpx.Exchange) error {
	if r.URL.Query().Has("time") {
		return &httpx.Error{Status: http.StatusNotImplemented, Code: "invalid_request", Message: "lists of another time are not kept"}
	}
	number, err := strconv.Atoi(r.PathValue("list"))
	if err != nil || number < 0 || strconv.Itoa(number) != r.PathValue("list") {
		return httpx.NotFound()
	}
	audience := s.Snapshots.Load().Lists()
	if audience == nil {
		return httpx.NotFound()
	}
	lifetime, err := s.lifetime(audience, x.Start)
	if err != nil {
		return err
	}
	list, err := s.get(number, audience.Signer, lifetime, x.Start)
	if err != nil {
		return err
	}
	header := w.Header()
	header.Set("Content-Type", statuslist.MediaType)
	header.Set("Cache-Control", fmt.Sprintf("public, max-age=%d, must-revalidate", int64(listMaxAge/time.Second)))
	header.Set("Access-Control-Allow-Origin", "*")
	header.Set("ETag", list.etag)
	if matches(r.Header.Values("If-None-Match"), list.etag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	header.Set("Content-Length", strconv.Itoa(len(list.text)))
	w.WriteHeader(http.StatusOK)
	w.Write(list.text) //nolint:errcheck // the client has gone; there is nobody left to tell
	return nil
}

// lifetime is how long what the audience's key signs now can be good; an error where lists cannot be signed, or it is not known what
// they would have to say.
func (s *StatusLists) lifetime(audience *snapshot.Audience, now time.Time) (time.Duration, error) {
	lifetime, err := s.Issuer.Usable(&issue.Request{Audience: audience, Time: now})
	if err == nil && s.Current != nil && !s.Current() {
		err = errNotCurrent
	}
	if err != nil {
		return 0, &httpx.Error{
			Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable", RetryAfter: record.RetryLater,
			Message: "which tokens are good is not known at present", Cause: err,
		}
	}
	return lifetime, nil
}

// get returns a signed list. One request at a time looks: others wait for what it finds.
func (s *StatusLists) get(number int, signer *token.Signer, lifetime time.Duration, now time.Time) (*keptList, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refresh(now)
	if number >= s.lists && len(s.valid[number]) == 0 {
		return nil, httpx.NotFound()
	}
	k := s.kept[number]
	if k != nil && k.signer == signer && k.pass == s.pass {
		return k, nil
	}
	list := statuslist.New(slot.Size)
	for _, index := range s.valid[number] {
		list.Valid(index)
	}
	if k != nil && k.signer == signer && list.Equal(k.list) && now.Sub(k.signedAt).Abs() < renewAfter {
		k.pass = s.pass
		return k, nil
	}
	k, err := s.sign(number, list, signer, min(lifetime, listLifetime), now)
	if err != nil {
		return nil, err
	}
	s.keep(number, k)
	return k, nil
}

// refresh reads the records, unless that was a short time ago. Whoever calls it holds the lock.
func (s *StatusLists) refresh(now time.Time) {
	if since := now.Sub(s.readAt); s.pass == 0 || since >= readEvery || since <= -readEvery {
		s.read(now)
	}
}

// read takes in which tokens are good.
func (s *StatusLists) read(now time.Time) {
	s.pass++
	s.readAt, s.lists, s.valid = now, slot.Lists(s.Records.Len()), map[int][]int{}
	for t := range s.Records.All() {
		if t.Spec.Type != v1alpha1.AccessToken || !s.Records.Live(t, now) {
			continue
		}
		if id, ok := slot.Parse(t.Spec.ID); ok && id.Name() == t.Name {
			s.valid[id.List] = append(s.valid[id.List], id.Index)
		}
	}
}

func (s *StatusLists) sign(number int, list *statuslist.List, signer *token.Signer, lifetime time.Duration, now time.Time) (*keptList, error) {
	encoded, err := list.Encode()
	if err != nil {
		return nil, err
	}
	claims := statuslist.Claims{
		Subject: statuslist.URI(s.Issuer.Lists, number), IssuedAt: now.Unix(), Expiry: now.Add(lifetime).Unix(),
		TTL: int64(min(listTTL, lifetime) / time.Second), Encoded: encoded,
	}
	if s.Issuer.Lists != "" {
		claims.Aggregation = statuslist.AggregationURI(s.Issuer.Lists)
	}
	text, err := signer.Sign(statuslist.TokenType, claims)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(text))
	return &keptList{
		list: list, pass: s.pass, signer: signer, signedAt: now, text: []byte(text),
		etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:]) + `"`,
	}, nil
}

// keep remembers a signed list, in the place of the one that was signed first if there are too many.
func (s *StatusLists) keep(number int, k *keptList) {
	if s.kept == nil {
		s.kept = map[int]*keptList{}
	}
	for _, there := s.kept[number]; !there && len(s.kept) >= mostLists; {
		oldest := -1
		for n, other := range s.kept {
			if oldest < 0 || other.signedAt.Before(s.kept[oldest].signedAt) {
				oldest = n
			}
		}
		delete(s.kept, oldest)
	}
	s.kept[number] = k
}
