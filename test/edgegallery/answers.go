package edgegallery

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// fault is an error of the original: its own code, which stands in the body where MEC 011
// has the HTTP status.
type fault struct {
	code, status int
	title        string
}

var (
	failBase           = fault{1, http.StatusBadRequest, "Bad Request"}
	notFound           = fault{3, http.StatusNotFound, "Can not found resource"}
	parseInfo          = fault{4, http.StatusBadRequest, "Bad Request"}
	unauthorized       = fault{11, http.StatusUnauthorized, "UnAuthorization"}
	registrationFailed = fault{12, http.StatusBadRequest, "Service register failed"}
	requestParam       = fault{14, http.StatusBadRequest, "Request parameter error"}
	noHeartbeats       = fault{17, http.StatusNotFound, "Can not found resource"}
	serviceInactive    = fault{18, http.StatusConflict, "Service is in INACTIVE state"}
)

// refuse answers with a fault. Its JSON is called text.
func refuse(w http.ResponseWriter, f fault, detail string) {
	b, err := json.Marshal(map[string]any{"title": f.title, "status": f.code, "detail": detail})
	if err != nil { // plain data: cannot happen
		panic(err)
	}
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	w.WriteHeader(f.status)
	_, _ = w.Write(append(b, '\n'))
}

// answer answers with v.
func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("X-Response-Status", strconv.Itoa(status))
	w.Header().Set("Vary", "Accept-Encoding, Origin")
	writeJSON(w, status, v)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
