import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { createNetworks, isNetwork, parseAddress, parseNetwork, placeOf, widerPlaceOf } from './network.ts'

describe('networks', () => {
  it('parses addresses and nothing else', () => {
    assert.equal(parseAddress('192.0.2.1'), '192.0.2.1')
    assert.equal(parseAddress('::ffff:192.0.2.1'), '192.0.2.1')
    assert.equal(parseAddress('fe80::1%eth0'), 'fe80::1')
    for (const none of ['', 'localhost', '1.2.3', '1.2.3.4:80', '[::1]', '999.1.1.1'])
      assert.equal(parseAddress(none), undefined)
    const injected = [
      '::1]@[::2',
      '::1%25]',
      '1::%',
      '::ffff:1.2.3',
      '::1/64',
      ' ::1',
      '::ffff:01.2.3.4',
      '1.2.3.4%eth0',
    ]
    for (const text of injected) assert.ok([undefined, '::1', '1::'].includes(parseAddress(text)), text)
  })

  it('writes an address in one form, however it is spelt (RFC 5952)', () => {
    const spellings: readonly (readonly [string, ...string[]])[] = [
      [
        '2001:db8::3',
        '2001:DB8::3',
        '2001:db8:0:0:0:0:0:3',
        '2001:0db8::0003',
        '2001:db8::0.0.0.3',
        '2001:DB8::3%en0',
      ],
      [
        '203.0.113.5',
        '::ffff:203.0.113.5',
        '::FFFF:cb00:7105',
        '0:0:0:0:0:ffff:cb00:7105',
        '::ffff:CB00:7105%1',
      ],
      ['0.0.0.0', '::ffff:0:0', '::ffff:0.0.0.0'],
      ['2001:db8:0:1:1:1:1:1', '2001:DB8:0000:1:1:1:1:1'],
      ['2001:db8::1:0:0:1', '2001:db8:0:0:1:0:0:1'],
      ['2001:0:0:1::1', '2001:0:0:1:0:0:0:1'],
      ['::', '0::0', '0:0:0:0:0:0:0:0'],
      ['::ffff:0:cb00:7105', '::ffff:0:203.0.113.5'],
    ]
    for (const [written, ...others] of spellings)
      for (const spelt of [written, ...others]) assert.equal(parseAddress(spelt), written, spelt)
  })

  it('writes the same for every way to write eight groups', () => {
    const groups = fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff })), {
      minLength: 8,
      maxLength: 8,
    })
    const property = fc.property(groups, fc.boolean(), fc.nat(6), (numbers, isLong, from) => {
      const spell = (group: number) =>
        isLong ? group.toString(16).padStart(4, '0').toUpperCase() : group.toString(16)
      const whole = numbers.map(spell).join(':')
      const written = parseAddress(whole)
      assert.ok(written !== undefined)
      assert.equal(parseAddress(written), written)
      let until = from
      while (numbers[until] === 0) until += 1
      if (until - from < 2) return
      const short = `${numbers.slice(0, from).map(spell).join(':')}::${numbers.slice(until).map(spell).join(':')}`
      assert.equal(parseAddress(short), written)
    })
    fc.assert(property, { numRuns: 500 })
  })

  it('writes a network in one form', () => {
    const spellings: readonly (readonly [string, string | undefined])[] = [
      ['2001:DB8::/32', '2001:db8::/32'],
      ['::ffff:10.0.0.0/104', '10.0.0.0/8'],
      ['::FFFF:a00:0/104', '10.0.0.0/8'],
      ['::ffff:203.0.113.5/128', '203.0.113.5/32'],
      ['::ffff:203.0.113.5', '203.0.113.5'],
      ['::ffff:0:0/96', '0.0.0.0/0'],
      ['::ffff:10.0.0.0/64', '::ffff:a00:0/64'],
      ['10.1.2.3/8', '10.1.2.3/8'],
      ['10.0.0.0/08', '10.0.0.0/8'],
      ['::ffff:10.0.0.0/129', undefined],
    ]
    for (const [spelt, written] of spellings) assert.equal(parseNetwork(spelt), written, spelt)
  })

  it('tells a network from other texts', () => {
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
    const spelt = createNetworks(['::ffff:10.0.0.0/104', '2001:DB8:0:0::/64', '::FFFF:cb00:7105'])
    for (const address of ['10.9.9.9', '::ffff:a09:909', '2001:db8::9', '203.0.113.5', '::ffff:203.0.113.5'])
      assert.ok(spelt(address), address)
    for (const address of ['11.0.0.1', '2001:db8:0:1::9', '203.0.113.6', '::10.9.9.9'])
      assert.ok(!spelt(address), address)
  })

  it('counts an IPv6 client by its /64', () => {
    assert.equal(placeOf('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2::/64')
    assert.equal(placeOf('2001:0db8:0001:2::1'), placeOf('2001:db8:1:2:ffff::'))
    assert.notEqual(placeOf('2001:db8:1:3::1'), placeOf('2001:db8:1:2::1'))
    assert.equal(placeOf('::1'), '0:0:0:0::/64')
    assert.equal(placeOf('2001:db8::'), '2001:db8:0:0::/64')
    assert.equal(placeOf('::ffff:192.0.2.1'), '192.0.2.1')
    assert.equal(placeOf('::ffff:c000:201'), '192.0.2.1')
    assert.equal(placeOf('unknown'), 'unknown')
  })

  it('knows the /48 around a place of IPv6', () => {
    assert.equal(widerPlaceOf(placeOf('2001:db8:1:2:3::')), '2001:db8:1::/48')
    assert.equal(widerPlaceOf(placeOf('::1')), '0:0:0::/48')
    assert.equal(widerPlaceOf('192.0.2.1'), undefined)
  })
})
