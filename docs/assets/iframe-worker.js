/* Search from the disk: a browser starts no worker for a page that was opened as a file, so the worker's script runs
 * in a hidden frame of the page instead. On a server this file does nothing. */
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(script) {
      super()
      this.frame = document.createElement("iframe")
      this.frame.hidden = true
      this.ready = new Promise(done => {
        this.frame.onload = done
        document.body.append(this.frame)
      }).then(() => this.start(script))
    }

    start(script) {
      const inner = this.frame.contentWindow
      inner.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
      inner.importScripts = (...urls) => urls.reduce((before, url) => before.then(() => this.run(url)), Promise.resolve())
      return this.run(script)
    }

    run(url) {
      return new Promise((done, failed) => {
        const element = this.frame.contentDocument.createElement("script")
        Object.assign(element, { src: url, onload: done, onerror: failed })
        this.frame.contentDocument.head.append(element)
      })
    }

    postMessage(data) {
      this.ready.then(() => this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data })))
    }

    terminate() {
      this.frame.remove()
    }
  }
}
