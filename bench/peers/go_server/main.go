// Go's net/http.
package main

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

type object = map[string]interface{}

type message struct {
	Message string `json:"message"`
	N       []int  `json:"n"`
}

var client = &http.Client{Transport: &http.Transport{
	MaxIdleConns:        8192,
	MaxIdleConnsPerHost: 8192,
	IdleConnTimeout:     10 * time.Minute,
}}

func answer(w http.ResponseWriter, value interface{}) {
	body, err := json.Marshal(value)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Write(body)
}

func fib(n int) int {
	if n < 2 {
		return n
	}
	return fib(n-1) + fib(n-2)
}

// ask is what /fanout asks three times; nil when the upstream does not answer.
func ask(i int) (value object) {
	res, err := client.Get(os.Getenv("UPSTREAM") + "/up?i=" + strconv.Itoa(i))
	if err != nil {
		return nil
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	json.Unmarshal(body, &value)
	return value
}

func fanout(w http.ResponseWriter, r *http.Request) {
	var values [3]object
	var all sync.WaitGroup
	all.Add(3)
	for i := range values {
		go func(i int) {
			values[i] = ask(i + 1)
			all.Done()
		}(i)
	}
	all.Wait()
	answer(w, object{"a": values[0], "b": values[1], "c": values[2]})
}

func sum(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Items []float64 `json:"items"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	total := 0.0
	for _, item := range body.Items {
		total += item
	}
	answer(w, object{"sum": total})
}

func main() {
	hello := []byte("Hello, World!")
	piece := []byte(strings.Repeat("x", 65536))
	compute := func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Query().Get("n"))
		answer(w, object{"fib": fib(n)})
	}

	http.HandleFunc("/plaintext", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Content-Length", "13")
		w.Write(hello)
	})
	http.HandleFunc("/json", func(w http.ResponseWriter, r *http.Request) {
		answer(w, &message{"Hello, World!", []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}})
	})
	http.HandleFunc("/sleep", func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(100 * time.Millisecond)
		answer(w, object{"data": "ok"})
	})
	http.HandleFunc("/users/", func(w http.ResponseWriter, r *http.Request) {
		id := strings.TrimPrefix(r.URL.Path, "/users/")
		answer(w, object{"id": id, "q": r.URL.Query().Get("q")})
	})
	http.HandleFunc("/sum", sum)
	http.HandleFunc("/fanout", fanout)
	http.HandleFunc("/fib", compute)
	http.HandleFunc("/offload/fib", compute) // every handler has a goroutine of its own
	http.HandleFunc("/upload", func(w http.ResponseWriter, r *http.Request) {
		count, _ := io.Copy(io.Discard, r.Body)
		answer(w, object{"bytes": count})
	})
	http.HandleFunc("/download", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		for i := 0; i < 160; i++ {
			w.Write(piece)
		}
	})

	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		panic(err)
	}
	if os.Getenv("TLS_CERT") != "" {
		// HTTP/1.1, as the others
		server := &http.Server{TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}}
		panic(server.ServeTLS(listener, os.Getenv("TLS_CERT"), os.Getenv("TLS_KEY")))
	}
	panic(http.Serve(listener, nil))
}
