package discovery

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/tokenwright/tokenwright/tokenserver/httpx"
	"github.com/tokenwright/tokenwright/tokenserver/statuslist"
)

// PathAggregation is where the lists are named.
const PathAggregation = statuslist.AggregationPath

// aggregation is the answer (draft-ietf-oauth-status-list, "Status List Aggregation").
type aggregation struct {
	Lists []string `json:"status_lists"`
}

// Aggregate has the form of httpx.Endpoint's Handle: it names all lists that there are, whatever audience their tokens are for, so
// that verifiers can have them before they meet a token.
func (s *StatusLists) Aggregate(w http.ResponseWriter, _ *http.Request, x *httpx.Exchange) error {
	if s.Issuer.Lists == "" { // nor does a token name a list then
		return httpx.NotFound()
	}
	answer := aggregation{Lists: []string{}}
	if audience := s.Snapshots.Load().Lists(); audience != nil {
		if _, err := s.lifetime(audience, x.Start); err != nil {
			return err
		}
		for _, number := range s.numbers(x.Start) {
			answer.Lists = append(answer.Lists, statuslist.URI(s.Issuer.Lists, number))
		}
	}
	header := w.Header()
	header.Set("Cache-Control", fmt.Sprintf("public, max-age=%d, must-revalidate", int64(listMaxAge/time.Second)))
	header.Set("Access-Control-Allow-Origin", "*")
	httpx.WriteJSON(w, http.StatusOK, answer)
	return nil
}

// numbers are those of the lists that are served, sorted.
func (s *StatusLists) numbers(now time.Time) []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refresh(now)
	var numbers []int
	for number := range s.lists {
		numbers = append(numbers, number)
	}
	// Where there were more records once there are lists beyond those that are drawn from now.
	for _, number := range slices.Sorted(maps.Keys(s.valid)) {
		if number >= s.lists {
			numbers = append(numbers, number)
		}
	}
	return numbers
}
