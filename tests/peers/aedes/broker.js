// aedes on 127.0.0.1: `node broker.js PORT TLS_PORT FOLDER USER PASSWORD`. It keeps everything in memory. `server.pem` and
// `server.key` in the folder are read at the start and at SIGHUP.

import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { Aedes } from 'aedes'

const [port, tlsPort, folder, user, password] = process.argv.slice(2)

const broker = await Aedes.createBroker({
  authenticate: (client, givenUser, givenPassword, done) => {
    const known = givenUser === user && givenPassword?.toString() === password
    if (known) return done(null, true)
    done(Object.assign(new Error('bad user name or password'), { returnCode: 4 }), false)
  }
})

broker.on('clientError', (client, error) => console.error(client.id, error.message))
broker.on('connectionError', (client, error) => console.error(client.id, error.message))
createServer(broker.handle).listen(Number(port), '127.0.0.1')

const identity = () => ({ cert: readFileSync(`${folder}/server.pem`), key: readFileSync(`${folder}/server.key`) })
const tls = createTlsServer(identity(), broker.handle).listen(Number(tlsPort), '127.0.0.1')
process.on('SIGHUP', () => tls.setSecureContext(identity()))

// It ends when the test that holds the other end is gone, however it went.
process.stdin.on('end', () => process.exit(0)).resume()
