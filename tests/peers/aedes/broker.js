// aedes on 127.0.0.1: `node broker.js PORT USER PASSWORD`. It keeps everything in memory.

import { createServer } from 'node:net'
import { Aedes } from 'aedes'

const [port, user, password] = process.argv.slice(2)

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

// It ends when the test that holds the other end is gone, however it went.
process.stdin.on('end', () => process.exit(0)).resume()
