import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createNetworks, isNetwork, parseAddress, placeOf } from './network.ts'

describe('networks', () => {
  it('parses addresses and nothing else', () => {
    assert.equal(parseAddress('192.0.2.1'), '192.0.2.1')
    assert.equal(parseAddress('::ffff:192.0.2.1'), '192.0.2.1')
    assert.equal(parseAddress('fe80::1%eth0'), 'fe80::1')
    for (const none of ['', 'localhost', '1.2.3', '1.2.3.4:80', '[::1]', '999.1.1.1'])
      assert.equal(parseAddress(none), undefined)
  })

  it('knows a network from what is none', () => {
    for (const network of ['10.0.0.0/8', '192.0.2.1', '2001:db8::/32', '::/0', '0.0.0.0/0'])
      assert.ok(isNetwork(network), network)
    for (const none of [
      '10.0.0.0/33',
      '10.0.0/8',
      '2001:db8::/129',
      'x',
      '10.0.0.0/',
      '10.0.0.0/8/8',
      '10.0.0.0/-1',
    ])
      assert.ok(!isNetwork(none), none)
  })

  it('tests membership, mapped addresses too', () => {
    const inside = createNetworks(['10.0.0.0/8', '192.0.2.7', '2001:db8::/32'])
    for (const address of ['10.255.0.1', '192.0.2.7', '::ffff:10.1.1.1', '2001:db8:ffff::1'])
      assert.ok(inside(address), address)
    for (const address of ['11.0.0.1', '192.0.2.8', '2001:db9::1', '', 'x'])
      assert.ok(!inside(address), address)
    assert.ok(!createNetworks([])('10.0.0.1'))
  })

  it('counts an IPv6 client by its /64', () => {
    assert.equal(placeOf('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2::/64')
    assert.equal(placeOf('2001:0db8:0001:2::1'), placeOf('2001:db8:1:2:ffff::'))
    assert.notEqual(placeOf('2001:db8:1:3::1'), placeOf('2001:db8:1:2::1'))
    assert.equal(placeOf('::1'), '0:0:0:0::/64')
    assert.equal(placeOf('2001:db8::'), '2001:db8:0:0::/64')
    assert.equal(placeOf('::ffff:192.0.2.1'), '192.0.2.1')
  })
})
