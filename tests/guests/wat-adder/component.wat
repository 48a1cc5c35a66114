;; A component written by hand, without any tool: one core module, one function, no imports.
(component
  (core module $adder
    (func (export "add") (param i32 i32) (result i32)
      local.get 0
      local.get 1
      i32.add)
    (func (export "spin") (result i32)
      (loop $again (br $again))
      unreachable))
  (core instance $adder (instantiate $adder))
  (func $add (param "a" u32) (param "b" u32) (result u32)
    (canon lift (core func $adder "add")))
  (func $spin (result u32)
    (canon lift (core func $adder "spin")))
  (export "add" (func $add))
  (export "spin" (func $spin)))
