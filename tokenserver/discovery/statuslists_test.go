package discovery

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/httpx"
	"github.com/tokenwright/tokenwright/tokenserver/issue"
	"github.com/tokenwright/tokenwright/tokenserver/record"
	"github.com/tokenwright/tokenwright/tokenserver/slot"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
	"github.com/tokenwright/tokenwright/tokenserver/statuslist"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

var begin = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

const random = "abcdefghijklmnopqrstuvwxyz"

// listWorld is a server of status lists with a clock.
type listWorld struct {
	*StatusLists
	now time.Time
}

func newLists(t *testing.T, keys ...snapshot.Keys) *listWorld {
	t.Helper()
	holder := &snapshot.Holder{}
	holder.Store(snapshot.Build(snapshot.Input{At: begin, Keys: keys}))
	return &listWorld{now: begin, StatusLists: &StatusLists{
		Snapshots: holder, Records: &record.Index{}, Issuer: &issue.Issuer{Name: "https://auth.example.com", Lists: "https://auth.example.com"},
	}}
}

func (w *listWorld) ask(path string, header http.Header) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodGet, path, http.NoBody)
	request.Header = header
	endpoint := func(handle func(http.ResponseWriter, *http.Request, *httpx.Exchange) error) http.Handler {
		return &httpx.Endpoint{
			Name: NameStatusLists, Methods: Methods(), Handle: handle, WriteError: httpx.WritePlainError,
			Recorder: silent{}, Log: logr.Discard(), Now: func() time.Time { return w.now },
		}
	}
	httpx.Routes("/prefix", map[string]http.Handler{
		PathStatusLists: endpoint(w.Handle), PathAggregation: endpoint(w.Aggregate),
	}, http.NotFoundHandler()).ServeHTTP(answer, request)
	return answer
}

// bits verifies a list as whoever gets a token has to, and returns its bits.
func (w *listWorld) bits(t *testing.T, number int) []byte {
	t.Helper()
	answer := w.ask(fmt.Sprintf("/statuslists/%d", number), nil)
	if answer.Code != http.StatusOK || answer.Header().Get("Content-Type") != "application/statuslist+jwt" {
		t.Fatalf("got %d %s", answer.Code, answer.Body)
	}
	jws, err := jose.ParseSignedCompact(answer.Body.String(), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	head := jws.Signatures[0].Protected
	if typ := head.ExtraHeaders[jose.HeaderType]; typ != "statuslist+jwt" {
		t.Fatalf("typ %v", typ)
	}
	payload, err := jws.Verify(w.Snapshots.Load().Verification[head.KeyID][0].Key)
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		Sub           string
		Iat, Exp, TTL int64
		List          struct {
			Bits        int
			Lst         string
			Aggregation string `json:"aggregation_uri"`
		} `json:"status_list"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	now := w.now.Unix()
	if claims.Sub != fmt.Sprintf("https://auth.example.com/statuslists/%d", number) || claims.List.Bits != 1 || claims.TTL != 60 ||
		claims.List.Aggregation != "https://auth.example.com/statuslists" || claims.Iat > now || claims.Iat <= now-30 || claims.Exp != claims.Iat+300 {
		t.Fatalf("claims %+v at %d", claims, now)
	}
	compressed, err := base64.RawURLEncoding.DecodeString(claims.List.Lst)
	if err != nil {
		t.Fatal(err)
	}
	r, err := zlib.NewReader(bytes.NewReader(compressed))
	if err != nil {
		t.Fatal(err)
	}
	bits, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return bits
}

func (w *listWorld) valid(t *testing.T, number, index int) bool {
	t.Helper()
	return w.bits(t, number)[index/8]>>(index%8)&1 == 0
}

func recorded(list, index int, change func(*v1alpha1.IssuedToken)) *v1alpha1.IssuedToken {
	id := slot.ID{List: list, Index: index, Random: random}
	t := &v1alpha1.IssuedToken{
		ObjectMeta: metav1.ObjectMeta{Name: id.Name(), CreationTimestamp: metav1.NewTime(begin.Add(-time.Hour))},
		Spec: v1alpha1.IssuedTokenSpec{
			Type: v1alpha1.AccessToken, ID: id.String(), Subject: v1alpha1.RecordedSubject{Username: "alice"}, Audience: "api",
			Expires: v1alpha1.NewDateTime(begin.Add(time.Hour)),
		},
	}
	if change != nil {
		change(t)
	}
	return t
}

func keyID(t *testing.T) snapshot.Keys { return fixture.Key(t, "api", v1alpha1.KeyID, begin, "api") }

func TestOnlyLiveAccessTokensAreValid(t *testing.T) {
	expires := v1alpha1.NewDateTime(begin.Add(time.Hour))
	revoke := func(spec v1alpha1.TokenRevocationSpec) func(*record.Index) {
		return func(x *record.Index) {
			x.PutRevocation(&v1alpha1.TokenRevocation{ObjectMeta: metav1.ObjectMeta{Name: "r"}, Spec: spec})
		}
	}
	cases := map[string]struct {
		reason string
		change func(*v1alpha1.IssuedToken)
		then   func(*record.Index)
		want   bool
	}{
		"a live one":      {"the plain case", nil, nil, true},
		"a refresh token": {"nobody but this server is to accept it", func(t *v1alpha1.IssuedToken) { t.Spec.Type = v1alpha1.RefreshToken }, nil, false},
		"one that expired": {"a year is over", func(t *v1alpha1.IssuedToken) {
			t.Spec.Expires = v1alpha1.NewDateTime(begin)
		}, nil, false},
		"one that is being deleted": {"its record is on its way out", func(t *v1alpha1.IssuedToken) { t.DeletionTimestamp = &metav1.Time{Time: begin} }, nil, false},
		"one whose record is gone": {
			"a token without exp would be good for ever", nil,
			func(x *record.Index) { x.DeleteRecord("token-0-11") }, false,
		},
		"one that was revoked": {
			"that is what lists are for", nil,
			revoke(v1alpha1.TokenRevocationSpec{Token: &v1alpha1.RevokedToken{ID: "0-11-" + random}, Expires: expires}), false,
		},
		"one of a subject that was revoked": {
			"all that it had are", nil,
			revoke(v1alpha1.TokenRevocationSpec{Subject: &v1alpha1.RevokedSubject{
				Username: "alice", IssuedBefore: v1alpha1.NewDateTime(begin),
			}}), false,
		},
		"one that has another's place": {"its id names another", func(t *v1alpha1.IssuedToken) { t.Spec.ID = "0-12-" + random }, nil, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newLists(t, keyID(t))
			w.Records.PutRecord(recorded(0, 11, c.change))
			if c.then != nil {
				c.then(w.Records)
			}
			bits := w.bits(t, 0)
			want := bytes.Repeat([]byte{0xff}, slot.Size/8)
			if c.want {
				want[1] = 0xf7
			}
			if !bytes.Equal(bits, want) {
				t.Errorf("%s: got %x ...", c.reason, bits[:4])
			}
		})
	}
}

func TestListsThatAreNotThere(t *testing.T) {
	broken := fixture.Broken("api", "api")
	broken.Object.Spec.KeyIdentification = v1alpha1.KeyID
	cases := map[string]struct {
		keys func(*testing.T) snapshot.Keys
		path string
		want int
	}{
		"the first":                           {keyID, "/statuslists/0", 200},
		"below the prefix, with a slash":      {keyID, "/prefix/statuslists/0/", 200},
		"one more than there are":             {keyID, "/statuslists/1", 404},
		"one with a record":                   {keyID, "/statuslists/7", 200},
		"another spelling of a number":        {keyID, "/statuslists/00", 404},
		"a negative one":                      {keyID, "/statuslists/-1", 404},
		"one that is no number":               {keyID, "/statuslists/x", 404},
		"a number beyond all":                 {keyID, "/statuslists/99999999999999999999", 404},
		"more than a number":                  {keyID, "/statuslists/0/0", 404},
		"one of another time":                 {keyID, "/statuslists/0?time=1", 501},
		"without a key that can be looked up": {func(t *testing.T) snapshot.Keys { return fixture.Key(t, "registry", v1alpha1.X509Chain, begin, "r") }, "/statuslists/0", 404},
		"with a key that cannot sign":         {func(*testing.T) snapshot.Keys { return broken }, "/statuslists/0", 503},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newLists(t, c.keys(t))
			w.Records.PutRecord(recorded(7, 1, nil))
			answer := w.ask(c.path, nil)
			if answer.Code != c.want {
				t.Errorf("got %d %s", answer.Code, answer.Body)
			}
			if c.want == 503 && answer.Header().Get("Retry-After") == "" {
				t.Error("nobody says when to come again")
			}
		})
	}
}

func TestAStaleServerSaysNothing(t *testing.T) {
	w := newLists(t, keyID(t))
	w.Issuer.Fence = snapshot.NewFence(time.Hour)
	w.Issuer.Fence.Confirm(w.now)
	w.Records.PutRecord(recorded(0, 11, nil))
	if !w.valid(t, 0, 11) {
		t.Fatal("the token is not valid")
	}
	w.now = w.now.Add(time.Hour)
	answer := w.ask("/statuslists/0", nil)
	want := `{"error":"temporarily_unavailable","error_description":"which tokens are good is not known at present"}` + "\n"
	if answer.Code != http.StatusServiceUnavailable || answer.Body.String() != want || answer.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("got %d %s", answer.Code, answer.Body)
	}
}

// TestAServerThatWouldNotHearOfARevocationSaysNothing: it would say VALID of a token that was taken back elsewhere.
func TestAServerThatWouldNotHearOfARevocationSaysNothing(t *testing.T) {
	w := newLists(t, keyID(t))
	w.Records.PutRecord(recorded(0, 11, nil))
	current := true
	w.Current = func() bool { return current }
	if !w.valid(t, 0, 11) {
		t.Fatal("the token is not valid")
	}
	current = false
	if answer := w.ask("/statuslists/0", nil); answer.Code != http.StatusServiceUnavailable || answer.Header().Get("Retry-After") == "" {
		t.Errorf("got %d %s", answer.Code, answer.Body)
	}
}

// TestListsAreMadeOnceASecond follows one list: it is the same for a second whatever happens, then says what happened, and
// is signed anew now and then though nothing did.
func TestListsAreMadeOnceASecond(t *testing.T) {
	w := newLists(t, keyID(t))
	text := func() string { return w.ask("/statuslists/0", nil).Body.String() }
	first := text()
	w.Records.PutRecord(recorded(0, 11, nil))
	w.now = w.now.Add(999 * time.Millisecond)
	if text() != first {
		t.Error("it was made again within a second")
	}
	w.now = w.now.Add(time.Millisecond)
	second := text()
	if second == first || !w.valid(t, 0, 11) {
		t.Error("after a second it does not say what happened")
	}
	w.now = w.now.Add(29 * time.Second)
	if text() != second {
		t.Error("it was signed again though nothing happened")
	}
	w.now = w.now.Add(time.Second)
	if text() == second {
		t.Error("it was not signed again")
	}
	w.now = begin.Add(-time.Hour)
	w.Records.DeleteRecord("token-0-11")
	if w.valid(t, 0, 11) {
		t.Error("a clock that was set back keeps an old list")
	}
}

func TestAKeyThatIsReplacedSignsNoList(t *testing.T) {
	w := newLists(t, keyID(t))
	first := w.bits(t, 0)
	w.Snapshots.Store(snapshot.Build(snapshot.Input{At: begin, Keys: []snapshot.Keys{keyID(t)}}))
	if diff := cmp.Diff(first, w.bits(t, 0)); diff != "" { // which verifies with the new key only
		t.Error(diff)
	}
}

func TestListsAreCached(t *testing.T) {
	w := newLists(t, keyID(t))
	first := w.ask("/statuslists/0", nil)
	etag := first.Header().Get("ETag")
	again := w.ask("/statuslists/0", http.Header{"If-None-Match": {etag}})
	got := []any{again.Code, again.Body.Len(), again.Header().Get("ETag") == etag, again.Header().Get("Cache-Control"), again.Header().Get("Access-Control-Allow-Origin")}
	want := []any{http.StatusNotModified, 0, true, "public, max-age=15, must-revalidate", "*"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFewListsAreKept(t *testing.T) {
	w := newLists(t, keyID(t))
	for list := range 2 * mostLists {
		w.Records.PutRecord(recorded(list, 1, nil))
	}
	for list := range 2 * mostLists {
		w.now = w.now.Add(time.Millisecond)
		if !w.valid(t, list, 1) {
			t.Fatalf("list %d", list)
		}
	}
	if len(w.kept) != mostLists {
		t.Errorf("%d lists are kept", len(w.kept))
	}
}

// TestWhoseKeySignsLists has servers choose the same whatever the order of the objects, and the keys of the tokens first.
func TestWhoseKeySignsLists(t *testing.T) {
	allows := fixture.Key(t, "z", v1alpha1.KeyID, begin, "z1", "z0")
	allows.Object.Spec.NonExpiringTokens = v1alpha1.Allowed
	chain, a, b := fixture.Key(t, "0", v1alpha1.X509Chain, begin, "0"), fixture.Key(t, "a", v1alpha1.KeyID, begin, "y"), fixture.Key(t, "b", v1alpha1.KeyID, begin, "x")
	cases := map[string]struct {
		keys []snapshot.Keys
		want string
	}{
		"one that allows tokens without end": {[]snapshot.Keys{chain, b, allows, a}, "z0"},
		"else the first by name":             {[]snapshot.Keys{b, chain, a}, "y"},
		"never by chain":                     {[]snapshot.Keys{chain}, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := ""
			if audience := snapshot.Build(snapshot.Input{At: begin, Keys: c.keys}).Lists(); audience != nil {
				got = audience.Name
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestAListIsNoBearer has a list come back as a token.
func TestAListIsNoBearer(t *testing.T) {
	w := newLists(t, keyID(t))
	list := w.ask("/statuslists/0", nil).Body.String()
	from := w.Snapshots.Load()
	for _, types := range [][]string{{token.TypeRegistry, token.TypeAccess}, {statuslist.TokenType}} {
		if _, err := from.Verify(list, w.Issuer.Name, w.now, types...); err == nil || !strings.Contains(err.Error(), "not valid") {
			t.Errorf("types %v: got %v", types, err)
		}
	}
}
