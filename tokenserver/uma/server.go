package uma

import (
	"net/http"
	"slices"
	"time"

	"github.com/tokenwright/tokenwright/tokenserver/grant"
	"github.com/tokenwright/tokenwright/tokenserver/httpx"
	"github.com/tokenwright/tokenwright/tokenserver/registration"
)

// Server answers all endpoints. All fields but Registrations, Keycloak and AccessToken are required.
type Server struct {
	Granter *grant.Granter
	// Registrations are where resources and requests are stored; nil: nowhere.
	Registrations *registration.Store
	// Base is the URL below which clients find the endpoints.
	Base string
	// Wait says how long a caller must wait before another object is stored for it.
	Wait func(username string, now time.Time) time.Duration
	// Keycloak spells errors as Keycloak does, not as the specification.
	Keycloak bool
	// AccessToken puts the caller's own access token into the tokens of the older facade.
	AccessToken bool
}

// Route is one endpoint.
type Route struct {
	// Path is below the root and the prefix, and Name labels the endpoint in metrics and logs.
	Path, Name string
	Methods    []string
	Handle     func(http.ResponseWriter, *http.Request, *httpx.Exchange) error
}

// Routes are all endpoints of the package.
func (s *Server) Routes() []Route {
	return slices.Concat(s.resourceRoutes(), s.permissionRoutes(), s.requestRoutes(), s.evaluationRoutes(), s.olderRoutes())
}
