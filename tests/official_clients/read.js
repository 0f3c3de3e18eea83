// Reads events with Airship's official Node client, unchanged, and says what came.
//
//     npm install --prefix target/official_clients/node urban-airship-connect@2.0.4
//     NODE_PATH=target/official_clients/node/node_modules node tests/official_clients/read.js http://127.0.0.1:8080 1000
//
// Arguments: base address without a path, number of events, optionally the token. Prints one line of JSON;
// `ids_sha256` is over the ids in order of arrival, each followed by a line feed. Exit code: 0, or 1 if an event came
// twice or its offset did not rise or the client failed, or 2 after a minute without all events.
'use strict'

const crypto = require('crypto')
const connect = require('urban-airship-connect')

const [base, count, token] = [process.argv[2], Number(process.argv[3]), process.argv[4] || 'token']
const digest = crypto.createHash('sha256')
const ids = new Set()
const types = new Set()
let events = 0
let connects = 0
let rising = true
let last = 0

setTimeout(() => process.exit(2), 60000)

const stream = connect('app', token, { uri: base.replace(/\/$/, '') + '/api/events/' })

stream.on('connect', () => connects++)
stream.on('error', (error) => {
  console.error(error)
  process.exit(1)
})
stream.on('data', (event) => {
  if (events === count) return
  events++
  digest.update(event.id + '\n')
  ids.add(event.id)
  types.add(event.type)
  rising = rising && Number(event.offset) > last
  last = Number(event.offset)
  if (events === count) {
    console.log(
      JSON.stringify({
        client: 'urban-airship-connect',
        events,
        ids: ids.size,
        types: types.size,
        connects,
        offsets_rise: rising,
        ids_sha256: digest.digest('hex'),
      })
    )
    process.exit(ids.size === count && rising ? 0 : 1)
  }
})
stream.write({ start: 'EARLIEST' })
