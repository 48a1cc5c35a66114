"""A component in Python: the shapes of a call, a file, and work without end."""

import dataclasses

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.echo import Failure_Refused, Person


class Echo(exports.Echo):
    def text(self, text: str) -> str:
        return text

    def greet(self, people: list[Person]) -> list[str]:
        if not people:
            raise Err(Failure_Refused("nobody to greet"))
        return [f"hello {person.name}" for person in people]

    def sum(self, numbers: list[int]) -> int:
        return sum(numbers)

    def birthday(self, person: Person) -> Person:
        return dataclasses.replace(person, age=person.age + 1)

    def read(self, path: str) -> str:
        try:
            with open(path, encoding="utf-8") as file:
                return file.read()
        except OSError as error:
            raise Err(str(error)) from error

    def spin(self) -> int:
        count = 0
        while True:
            count += 1
